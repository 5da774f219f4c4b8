"""Decides whether an idle connection may carry a call, and takes it. Pure: ages are arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from proxy.upstream.model import Limits

_SPREAD: Final = 0.2


class Idle(Protocol):
    """What is to be known of an idle connection; see Connection."""

    idle_since: float
    retires_at: float

    @property
    def fit(self) -> bool:
        """Whether it may carry a call."""

    def abort(self) -> None:
        """End it."""


One = TypeVar("One", bound=Idle)


def lifetime(limits: Limits, chance: float) -> float:
    """Return for how many seconds a new connection may begin calls.

    Chance, from 0 to 1, takes up to a fifth off, so that connections that were made together do not end together.
    """
    return limits.max_age * (1 - _SPREAD * chance)


def take_warm(idle: list[One], now: float, *, effects: bool, limits: Limits) -> One | None:
    """Take the idle connection used last, unless it has cooled too far for this call, or is too old for any.

    The longer it was idle, the likelier that the origin is closing it just now. A read that meets such a close can be
    sent again; a call with effects cannot, so it asks for a warmer connection. A negative idle time means that the
    clock cannot be believed.
    """
    while idle:
        connection = idle[-1]
        seconds = now - connection.idle_since
        young = now < connection.retires_at and 0 <= seconds < limits.pool_idle
        if young and effects and seconds > limits.effects_idle:
            return None
        idle.pop()
        if young and connection.fit:
            return connection
        connection.abort()
    return None
