"""May this idle connection carry this call? Pure: ages are arguments."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.upstream.model import Limits


# Seconds. Servers keep a connection for at least a second or two after an answer, or say with it that they do not.
HOT: Final = 0.05


class Fitness(Enum):
    """What to do with an idle connection when a call looks for one."""

    RIDE = auto()
    LEAVE = auto()
    DROP = auto()


def fitness(idle_seconds: float, *, effects: bool, limits: Limits) -> Fitness:
    """Judge a connection by how long it was idle: the longer, the likelier that the origin is closing it just now.

    A read that meets such a close can be sent again; a call with effects cannot, so it asks for a warmer connection.
    A negative age means that the clock cannot be believed.
    """
    if not 0 <= idle_seconds < limits.pool_idle:
        return Fitness.DROP
    if effects and idle_seconds > limits.effects_idle:
        return Fitness.LEAVE
    return Fitness.RIDE


def is_hot(idle_seconds: float, *, effects: bool) -> bool:
    """Whether a connection was in use so lately that the kernel need not be asked about it, for a call without effects.

    A read that meets an end all the same is sent again; a call with effects could not be, and asks always.
    """
    return not effects and 0 <= idle_seconds < HOT
