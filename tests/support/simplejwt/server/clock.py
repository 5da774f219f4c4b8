"""The server's clock: the machine's, plus an offset that a test may move.

Simple JWT and PyJWT ask `datetime.now`; both are given a datetime whose `now` is shifted. So a test lets a token expire
without waiting for it.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Self

import jwt.api_jwt
import rest_framework_simplejwt.utils


class Clock:
    offset = 0.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self.offset


clock = Clock()


class ShiftedDatetime(dt.datetime):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Self:
        return cls.fromtimestamp(clock.now(), tz)


def install() -> None:
    """Put the two libraries on this clock; whoever asks elsewhere keeps the machine's."""
    for module in (jwt.api_jwt, rest_framework_simplejwt.utils):
        if getattr(module, "datetime", None) is not dt.datetime:
            message = f"{module.__name__} asks the time in another way now: the offset would not reach it"
            raise RuntimeError(message)
        vars(module)["datetime"] = ShiftedDatetime
