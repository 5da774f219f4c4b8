"""Writes the ledger from one thread: calls wait for their intent only, and calls that come together share a commit.

A call that was refused because its intent could not be written was never sent. The end of a call that was sent is
kept, and tried again, until it is written.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from proxy.ledger.entry import End, State
from proxy.ledger.store import LedgerError, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ledger.entry import Intent
    from proxy.ledger.store import Store

Result = TypeVar("Result")

MOST_WAITING: Final = 10_000  # ends that wait for a ledger that cannot be written; each holds some 500 bytes
GATHERING: Final = 0.02  # seconds that ends wait for company; nothing waits for them
AGAIN: Final = 1.0  # seconds until a store that failed is tried again


class Journal:
    """The thread that writes to a store; made inside the event loop.

    Args:
        store: opened already; from now on only this thread uses it.
        now: seconds since the Unix epoch.
        wrote: told in the thread how many seconds each commit took, and whether it went well.

    Attributes:
        lost: ends that were dropped because too many waited; their entries stay open, and are settled like others.
        failing: why the last commit failed; empty when it went well.
    """

    def __init__(
        self,
        store: Store,
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
        wrote: Callable[[float, bool], None] = lambda _seconds, _good: None,
    ) -> None:
        self._store = store
        self._now = now
        self._clock = clock
        self._wrote = wrote
        self._loop = asyncio.get_running_loop()
        self._begun: deque[tuple[Ticket, asyncio.Future[None]]] = deque()
        self._ended: deque[Ticket] = deque()
        self._asked: deque[tuple[Callable[[Store], Any], asyncio.Future[Any]]] = deque()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self.lost = 0
        self.failing = ""
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Ends that are not written yet."""
        return len(self._ended)

    async def begin(self, intent: Intent, *, window: float, refused: bool, timeout: float) -> Ticket:  # noqa: ASYNC109 - a bound that the settings give
        """Make an intent durable.

        Args:
            intent: of the call.
            window: as for `Ticket`.
            refused: as for `Ticket`.
            timeout: seconds that this may take.

        Raises:
            LedgerError: it was not written in time; should it be written yet, its end will say `not_sent`.
        """
        ticket = Ticket(intent, window, refused)
        future: asyncio.Future[None] = self._loop.create_future()
        self._begun.append((ticket, future))
        self._wake.set()
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            self._give_up(ticket)
            message = f"the ledger did not answer within {timeout:g} s"
            raise LedgerError(message) from None
        except asyncio.CancelledError:
            self._give_up(ticket)
            raise
        return ticket

    def unwritten(self, intent: Intent) -> Ticket:
        """Return a ticket for a call that goes on without its intent; it is written with its end."""
        return Ticket(intent, 0.0, refused=False)

    def end(self, ticket: Ticket, end: End) -> None:
        """Note how a call ended; never waits."""
        if ticket.end is not None or (ticket.refused and ticket.earlier is not None):
            return
        ticket.end = end
        if len(self._ended) >= MOST_WAITING:
            self.lost += 1
            return
        self._ended.append(ticket)
        self._wake.set()

    async def ask(self, work: Callable[[Store], Result]) -> Result:
        """Have the thread do something with the store; raises what it raises."""
        future: asyncio.Future[Result] = self._loop.create_future()
        self._asked.append((work, future))
        self._wake.set()
        return await future

    def close(self, seconds: float) -> bool:
        """Write what waits, for at most so many seconds; return whether all of it was written. Blocks."""
        self._ending.set()
        self._wake.set()
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self._ended

    def _give_up(self, ticket: Ticket) -> None:
        self.end(ticket, End(self._now(), State.NOT_SENT))

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if not self._begun and not self._asked:
                self._ending.wait(GATHERING)
            self._wake.clear()
            good = self._commit()
            self._answer()
            if self._ending.is_set() and not self._begun and not self._asked and (not self._ended or not good):
                self._store.close()
                return
            if self._ended and not good:
                self._ending.wait(AGAIN)
                self._wake.set()

    def _commit(self) -> bool:
        """Write all that waits in one transaction; what was begun fails with it, what has ended is kept."""
        begun = [self._begun.popleft() for _ in range(len(self._begun))]
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        if not begun and not ended:
            return True
        started = self._clock()
        fault: LedgerError | None = None
        try:
            self._store.write([ticket for ticket, _ in begun], ended)
        except LedgerError as error:
            fault = error
        except Exception as error:  # noqa: BLE001 - the thread must live: without it every call with effects is refused
            fault = LedgerError(f"the ledger failed: {type(error).__name__}")
        if fault is not None:
            self._ended.extendleft(reversed(ended))
        self.failing = "" if fault is None else str(fault)
        self._wrote(self._clock() - started, fault is None)
        if begun:
            self._tell([(future, fault) for _, future in begun])
        return fault is None

    def _tell(self, results: list[tuple[asyncio.Future[None], LedgerError | None]]) -> None:
        def tell() -> None:
            for future, fault in results:
                if future.done():
                    continue
                if fault is None:
                    future.set_result(None)
                else:
                    future.set_exception(fault)

        self._later(tell)

    def _answer(self) -> None:
        for _ in range(len(self._asked)):
            work, future = self._asked.popleft()
            try:
                result, fault = work(self._store), None
            except Exception as error:  # noqa: BLE001 - it belongs to the one who asked
                result, fault = None, error
            self._later(partial(_settle, future, result, fault))

    def _later(self, told: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it whoever waits
            self._loop.call_soon_threadsafe(told)


def _settle(future: asyncio.Future[Any], result: object, fault: Exception | None) -> None:
    if future.done():
        return
    if fault is None:
        future.set_result(result)
    else:
        future.set_exception(fault)
