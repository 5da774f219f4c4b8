"""Answers the liveness, startup and readiness probes. Readiness ends first when the sidecar shuts down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.ops.diagnosis import Diagnosis, Failure, diagnose
from proxy.tokens.issuer import FetchResult
from proxy.tokens.model import Grant

if TYPE_CHECKING:
    from proxy.ops.admin.history import History
    from proxy.ops.diagnosis import Site
    from proxy.tokens.keeper import Keeper

_LOCKED: Final = Diagnosis("an operator has locked it", "`localpayment-proxy unlock`, once the credentials are safe")
_DRAINING: Final = Diagnosis(
    "it was told to stop, or to drain", "nothing while it is being replaced; else restart it, since no drain is undone"
)
_FETCHING: Final = Diagnosis("a token is being fetched", "wait a moment")
_REFUSED: Final = Failure(None, FetchResult.REFUSED)
_REJECTED: Final = Failure(Grant.PASSWORD, FetchResult.REFUSED)


class ProbeResult(NamedTuple):
    """What a probe is answered; `reason` is for people, `why` names cause and next step when it is not good."""

    good: bool
    reason: str
    why: Diagnosis | None = None

    def __str__(self) -> str:
        return self.reason if self.why is None else f"{self.reason}: {self.why.cause}\nTo do: {self.why.advice}"


class Health:
    """The three answers of the probes.

    Args:
        tokens: tells whether there is one.
        history: knows what the last fetch met.
        site: what advice names.

    Attributes:
        draining_since: when draining began, in seconds since the epoch; None before.
    """

    def __init__(self, tokens: Keeper, history: History, site: Site) -> None:
        self._tokens = tokens
        self._history = history
        self._site = site
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
        if self._was_ready:
            return ProbeResult(good=True, reason="started")
        return ProbeResult(good=False, reason="no token was got yet", why=self.failing() or _FETCHING)

    def ready(self) -> ProbeResult:
        """Whether a call would be forwarded."""
        if self.draining:
            return ProbeResult(good=False, reason="draining", why=_DRAINING)
        if self._tokens.ready:
            self._was_ready = True
            return ProbeResult(good=True, reason="ready")
        if self._tokens.unreplaced:
            reason = "Localpayment refuses the token that is held, and gives no other"
            return ProbeResult(good=False, reason=reason, why=self.failing() or diagnose(_REFUSED, self._site))
        why = _LOCKED if self._tokens.locked else self.failing() or _FETCHING
        return ProbeResult(
            good=False, reason=f"no usable token is held; the token is {self._tokens.state.value}", why=why
        )

    def failing(self) -> Diagnosis | None:
        """Say why the last token fetch failed, or the newest credentials do not serve; None when all is well."""
        failure = self._history.failure or (_REJECTED if self._tokens.rejected else None)
        return None if failure is None else diagnose(failure, self._site)
