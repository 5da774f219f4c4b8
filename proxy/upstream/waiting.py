"""Bounds the calls that have a connection, and gives those that wait for one whichever comes first.

That is one that another call has done with, or a new one.

A call that waits has a connection made, but needs it no more when another comes sooner: one that is not begun by then
is left, any other serves the next call. No failure to connect reaches a call that has a connection.

Handshakes take the processor a millisecond, and as many at once as there are calls would keep it from the calls that a
warm connection could carry. So the fewer are under way the quicker they are: a far origin allows as many as ever, since
there they wait more than they work. One that hangs is not counted for long.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final

from proxy.http1.timeouts import timeout_at
from proxy.upstream.model import ConnectError, FaultKind, Obstacle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.upstream.connection import Connection
    from proxy.upstream.model import Limits

    Make = Callable[[], Awaitable[Connection]]
    Call = asyncio.Future[Connection]

CLOSED: Final = "the sidecar is shutting down"
LEAST: Final = 4  # connections that are made at once, however quick they are
EACH: Final = 0.005  # seconds of the time of one that make room for another
_AT_FIRST: Final = 16  # connections that are made at once as long as it is not known how long one takes
_GROWTH: Final = 1.1  # at most, of the time that the quickest is thought to take, with each that took longer
HANGS: Final = 0.25  # seconds after which one counts no more, or twice the time of the quickest


class Slots:
    """Places for connections, first come, first served; each that is taken must be given back.

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


class Waiting:
    """The calls that wait for a connection, and the connections that are being made.

    Args:
        limits: of the pool.
        found: takes a connection that was made.

    Attributes:
        calls: those that wait, the longest first.
    """

    def __init__(self, limits: Limits, found: Callable[[Connection], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._found = found
        self.calls: deque[Call] = deque()
        self._new_only: set[Call] = set()
        self._due: deque[tuple[Make, Call | None]] = deque()
        self._making: dict[asyncio.Task[None], tuple[float, Call | None]] = {}  # since when, and for which call
        self._again: asyncio.TimerHandle | None = None
        self._quickest = 0.0  # seconds; 0 before any was made

    @property
    def making(self) -> int:
        """How many connections are being made, or will be."""
        return len(self._making) + len(self._due)

    async def wait(self, make: Make | None, deadline: float, *, new: bool = False) -> Connection:
        """Return the connection that comes first; it may have died since.

        Args:
            make: makes a connection, or raises what the call is to raise; None when there are as many as may be.
            deadline: of the call; `make` keeps to it by itself once it has begun.
            new: whether it must be one that has carried no call.

        Raises:
            ConnectError: none has come in time, or the pool was closed.
        """
        call: Call = self._loop.create_future()
        self.calls.append(call)
        if new:
            self._new_only.add(call)
        if make is not None:
            self.make(make, call)
        try:
            try:
                async with timeout_at(deadline):
                    return await asyncio.shield(call)
            except TimeoutError as error:
                while not call.done() and (task := self._task_of(call)):  # whose connection may go to another call
                    await asyncio.wait((call, task), return_when=asyncio.FIRST_COMPLETED)
                if not call.done():
                    raise self.late(busy=make is None) from error
                return call.result()
        except asyncio.CancelledError:
            self._give_up(call)
            raise
        finally:
            self._new_only.discard(call)
            call.cancel()  # if none came: what is due for it is then left
            with contextlib.suppress(ValueError):
                self.calls.remove(call)

    def late(self, *, busy: bool) -> ConnectError:
        """Return what a call raises that has waited in vain; `busy` says that there were as many as may be."""
        seconds = self._limits.connect_timeout
        if not busy:
            return ConnectError(Obstacle.SLOW, f"no connection within {seconds} s, while others were being made")
        detail = f"all {self._limits.max_connections} connections were busy for {seconds} s"
        return ConnectError(FaultKind.POOL, detail)

    def offer(self, connection: Connection) -> bool:
        """Give a connection to the call that has waited longest; return whether one waits."""
        for call in self.calls:
            if not call.done() and not (connection.free and call in self._new_only):
                self.calls.remove(call)
                call.set_result(connection)
                return True
        return False

    def make(self, make: Make, call: Call | None = None) -> None:
        """Have a connection made; its failure is the call's, if it still waits."""
        self._due.append((make, call))
        self._begin()

    async def close(self) -> None:
        """End the wait of every call, and give up the connections that are being made."""
        self._due.clear()
        if self._again is not None:
            self._again.cancel()
        for call in self.calls:
            if not call.done():
                call.set_exception(ConnectError(FaultKind.CLOSED, CLOSED))
        for task in self._making:
            task.cancel()
        if self._making:
            await asyncio.wait(tuple(self._making))

    def _begin(self) -> None:
        """Begin to make what is due, as far as may be."""
        now = self._loop.time()
        counts_for = max(HANGS, 2 * self._quickest)
        most = max(LEAST, int(self._quickest / EACH)) if self._quickest else _AT_FIRST
        room = most - sum(now - at < counts_for for at, _ in self._making.values())
        while self._due and room > 0:
            make, call = self._due.popleft()
            if call is None or not call.done():
                task = self._loop.create_task(self._make(make, call, now))
                self._making[task] = now, call
                task.add_done_callback(self._ended)
                room -= 1
        if self._due and self._again is None:
            self._again = self._loop.call_later(counts_for, self._begin_again)

    def _begin_again(self) -> None:
        self._again = None
        self._begin()

    async def _make(self, make: Make, call: Call | None, began: float) -> None:
        try:
            connection = await make()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for the call to raise
            self._ended(asyncio.current_task())  # before its place is asked for again
            if call is not None and not call.done():
                call.set_exception(error)
        else:
            took = self._loop.time() - began
            self._quickest = min(took, _GROWTH * self._quickest) or took
            self._ended(asyncio.current_task())
            self._found(connection)

    def _ended(self, task: asyncio.Task[None] | None) -> None:
        if task is not None and self._making.pop(task, None) is not None:
            self._begin()

    def _task_of(self, call: Call) -> asyncio.Task[None] | None:
        return next((task for task, (_, whose) in self._making.items() if whose is call), None)

    def _give_up(self, call: Call) -> None:
        """Take back what a call that waits no more had asked for."""
        task = self._task_of(call)
        if task is not None:
            task.cancel()
        if call.done() and not call.cancelled() and call.exception() is None:
            self._found(call.result())
