"""Decides whether an idle connection may carry a call, and takes it. Pure: ages are arguments."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, assert_never

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


class Fitness(Enum):
    """What to do with an idle connection when a call looks for one."""

    USE = auto()
    KEEP = auto()
    CLOSE = auto()


def lifetime(limits: Limits, chance: float) -> float:
    """Return for how many seconds a new connection may begin calls.

    Chance, from 0 to 1, takes up to a fifth off, so that connections that were made together do not end together.
    """
    return limits.max_age * (1 - _SPREAD * chance)


def fitness(idle_seconds: float, left_seconds: float, *, effects: bool, limits: Limits) -> Fitness:
    """Judge a connection by what is left of its lifetime, and by how long it was idle.

    The longer it was, the likelier that the origin is closing it just now. A read that meets such a close can be sent
    again; a call with effects cannot, so it asks for a warmer connection. A negative idle time means that the clock
    cannot be believed.
    """
    if left_seconds <= 0 or not 0 <= idle_seconds < limits.pool_idle:
        return Fitness.CLOSE
    if effects and idle_seconds > limits.effects_idle:
        return Fitness.KEEP
    return Fitness.USE


def take_warm(idle: list[One], now: float, *, effects: bool, limits: Limits) -> One | None:
    """Take the idle connection used last, unless it has cooled too far for this call, or is too old for any."""
    while idle:
        connection = idle.pop()
        match fitness(now - connection.idle_since, connection.retires_at - now, effects=effects, limits=limits):
            case Fitness.USE if connection.fit:
                return connection
            case Fitness.KEEP:
                idle.append(connection)
                return None
            case Fitness.USE | Fitness.CLOSE:
                connection.abort()
            case never:
                assert_never(never)
    return None
