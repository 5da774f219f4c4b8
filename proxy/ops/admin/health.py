"""Answers the liveness, startup and readiness probes. Readiness ends first when the sidecar shuts down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.tokens.keeper import Keeper


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe is answered; `reason` is for people."""

    good: bool
    reason: str


class Health:
    """The three answers of the probes.

    Attributes:
        draining_since: when draining began, in seconds since the epoch; None before.
    """

    def __init__(self, tokens: Keeper) -> None:
        self._tokens = tokens
        self._was_ready = False
        self.draining_since: float | None = None

    @property
    def draining(self) -> bool:
        """Whether the sidecar was told to take no new calls."""
        return self.draining_since is not None

    def live(self) -> ProbeResult:
        """Whether process and event loop run: they answered."""
        return ProbeResult(good=True, reason="alive")

    def started(self) -> ProbeResult:
        """Whether a token was held once."""
        self._was_ready = self._was_ready or self._tokens.ready
        return ProbeResult(self._was_ready, "started" if self._was_ready else "no token was got yet")

    def ready(self) -> ProbeResult:
        """Whether a call would be forwarded."""
        if self.draining:
            return ProbeResult(good=False, reason="draining")
        if self._tokens.ready:
            self._was_ready = True
            return ProbeResult(good=True, reason="ready")
        if self._tokens.unreplaced:
            return ProbeResult(good=False, reason="Localpayment refuses the token that is held, and gives no other")
        return ProbeResult(good=False, reason=f"no usable token is held; the token is {self._tokens.state.value}")
