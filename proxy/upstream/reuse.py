"""Decides whether an idle connection may carry a call. Pure: ages are arguments."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.upstream.model import Limits


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
