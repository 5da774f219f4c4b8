"""Limits the connections that are open at once; first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """Places for connections; each that is taken must be given back.

    Args:
        most: how many there are.

    Attributes:
        taken: how many are taken, or handed to a waiter that has not run yet.
    """

    def __init__(self, most: int) -> None:
        self.taken = 0
        self._most = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def free(self) -> bool:
        """Whether `take` would succeed; never while a waiter has not given up."""
        return self.taken < self._most

    def take(self) -> bool:
        """Take a place at once; return whether there was one."""
        if self.taken >= self._most:
            return False
        self.taken += 1
        return True

    async def wait(self) -> None:
        """Take a place, after those who waited before."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                self._waiting.remove(place)
            else:
                self.give_back()  # it was handed over as its taker gave up
            raise

    def give_back(self) -> None:
        """Give a place back; the longest waiter gets it."""
        if self._waiting:
            for place in self._waiting:
                if not place.done():
                    self._waiting.remove(place)
                    place.set_result(None)
                    return
        self.taken -= 1
