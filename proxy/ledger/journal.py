"""Writes the ledger from one thread: calls wait for their intent only, and calls that come together share a commit.

Ends have commits of their own, a moment later, unless a call begins that may repeat one of theirs. Other sidecars learn
at once that a call was not carried out.

A call that was refused because its intent could not be written was never sent. The end of a call that was sent is
kept, and tried again, until it is written.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from proxy.ledger.entry import LedgerError, State, Ticket, may_have_been_done

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.ledger.entry import End, Intent
    from proxy.ledger.store import Store

Result = TypeVar("Result")

MOST_WAITING: Final = 10_000  # of intents, and of ends, for a ledger that cannot be written; each holds a kilobyte
GATHERING: Final = 0.02  # seconds that ends wait for company; nothing waits for them
STILL: Final = 10.0  # seconds after which a store that works on one thing is told to give up; statements take less
AGAIN: Final = 1.0  # seconds until ends are tried again with a store that failed, unless a call comes first


class _Begun(NamedTuple):
    """An intent to write, who waits for that, and what ends the wait."""

    ticket: Ticket
    waits: asyncio.Future[None]
    bound: asyncio.TimerHandle
    again: bool = False  # whether what it repeats is looked at for the second time


class Journal:
    """The thread that writes to a store; made inside the event loop.

    Args:
        store: only this thread uses it from now on.
        clock: seconds on a clock that only moves forward.
        wrote: told how many seconds each commit took, and why it failed; the text is empty when it went well. Told of
            each call, too, that would wait no longer. Not told of a commit that had nothing to write, such as the ends
            of calls whose intents were not written: it goes well on a disk that is full.

    Attributes:
        lost: ends that were dropped because too many waited; their entries stay open until the process has ended.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float],
        wrote: Callable[[float, str], None] = lambda _seconds, _fault: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wrote = wrote
        self._loop = asyncio.get_running_loop()
        self._serials = itertools.count(1)
        self._begun: deque[_Begun] = deque()
        self._ended: deque[Ticket] = deque()
        self._asked: deque[tuple[Callable[[Store], Any], asyncio.Future[Any]]] = deque()
        self._calls: queue.SimpleQueue[None] = queue.SimpleQueue()  # to work
        self._called = False  # since the thread looked last
        self._gathers = False
        self._gathered = False  # ends are to be written now
        self._calls_ended: set[tuple[str, str]] = set()  # of the ends that wait
        self._closing = threading.Event()
        self._ending = 0  # ends that the thread is writing
        self._since: float | None = None  # when the thread turned to the store, if it has not come back
        self.lost = 0
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Ends that are not written yet."""
        return len(self._ended) + self._ending

    def ticket(self, intent: Intent, *, window: float, refused: bool) -> Ticket:
        """Return a ticket for a call; see there for the arguments."""
        return Ticket(next(self._serials), intent, window, refused)

    def begin(self, ticket: Ticket, seconds: float) -> asyncio.Future[None]:
        """Begin to make an intent durable; what is returned is done when it is, or raises LedgerError.

        After an error it is not known to be written: the call must either not be sent, or go on with `Ticket.late`.
        Either way `end` must be told how it ended. Nothing is told of a ticket that has ended meanwhile.
        """
        waits: asyncio.Future[None] = self._loop.create_future()
        if len(self._begun) >= MOST_WAITING:
            _settle(waits, None, LedgerError("the ledger has stood still for too many calls"))
            return waits
        bound = self._loop.call_later(seconds, self._expire, ticket, waits, seconds)
        self._begun.append(_Begun(ticket, waits, bound))
        self._wake()
        return waits

    def end(self, ticket: Ticket, end: End) -> None:
        """Note how a call ended; never waits."""
        if ticket.end is not None:
            return
        ticket.end = end
        if ticket.left_out:
            return
        if len(self._ended) >= MOST_WAITING:
            self.lost += 1
            return
        self._ended.append(ticket)
        self._calls_ended.add(ticket.call)  # after the ticket: the thread looks here first
        if self._store.shared and not may_have_been_done(end.state, end.status, None):
            self._gathered = True  # its caller may send it again at once, through another sidecar
            self._wake()
        elif not self._gathers:
            self._gathers = True
            self._loop.call_later(GATHERING, self._write_ends)

    async def ask(self, work: Callable[[Store], Result]) -> Result:
        """Have the thread do something with the store, once it has tried to write the ends; raises what it raises."""
        future: asyncio.Future[Result] = self._loop.create_future()
        self._gathered = self._gathered or bool(self._ended)
        self._asked.append((work, future))
        self._wake()
        return await future

    def close(self, seconds: float) -> bool:
        """Write what waits, for at most so many seconds; return whether all of it was written. Blocks."""
        self._closing.set()
        self._wake()
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self._ended

    def _expire(self, ticket: Ticket, waits: asyncio.Future[None], seconds: float) -> None:
        if ticket.end is None and not waits.done():
            fault = f"the ledger did not answer within {seconds:g} s"
            self._wrote(seconds, fault)
            _settle(waits, None, LedgerError(fault))
        since = self._since
        if since is not None and self._clock() - since > STILL:
            self._store.give_up()

    def _write_ends(self) -> None:
        self._gathers = False
        if self._ended:
            self._gathered = True
            self._wake()

    def _wake(self) -> None:
        if not self._called:
            self._called = True
            self._calls.put(None)

    def _run(self) -> None:
        while True:
            self._calls.get()
            self._called = False  # before the looking, so that what comes from now on calls anew
            self._since = self._clock()
            # Before the commit, which writes what the answers must show.
            asked = [self._asked.popleft() for _ in range(len(self._asked))]
            written = self._commit()
            self._answer(asked)
            self._since = None
            if self._closing.is_set() and not (self._begun or self._asked or (self._ended and written)):
                self._store.close()
                return
            if self._ended and not written:
                with suppress(queue.Empty):
                    self._calls.get(timeout=AGAIN)
                self._calls.put(None)

    def _commit(self) -> bool:
        """Write what waits in one transaction; what was begun fails with it, what has ended is kept."""
        # In this order, so that no intent is written after its own end.
        waiting = [self._begun.popleft() for _ in range(len(self._begun))]
        ended = self._ends_to_write(waiting)
        begun = [one for one in waiting if one.ticket.end is None]  # the others were given up
        if not begun and not ended:
            return True
        started = self._clock()
        fault: LedgerError | None = None
        try:
            self._store.write([one.ticket for one in begun], ended)
        except LedgerError as error:
            fault = error
        except Exception as error:  # noqa: BLE001 - the thread must live: without it every call with effects is refused
            fault = LedgerError(f"the ledger failed: {type(error).__name__}")
        if fault is not None:
            self._ended.extendleft(reversed(ended))
            self._gathered = self._gathered or bool(ended)
        self._ending = 0
        wrote = fault is None and _wrote([one.ticket for one in begun], ended)
        self._later(partial(self._tell, begun, fault, self._clock() - started, wrote=wrote))
        return fault is None

    def _ends_to_write(self, begun: list[_Begun]) -> list[Ticket]:
        """Take the ends that have waited long enough, or for one of which a call that begins must not wait."""
        now = self._gathered or self._closing.is_set()
        if not now and self._calls_ended.isdisjoint([one.ticket.call for one in begun]):
            return []
        self._gathered, self._calls_ended = False, set()
        self._ending = len(self._ended)
        return [self._ended.popleft() for _ in range(self._ending)]

    def _answer(self, asked: list[tuple[Callable[[Store], Any], asyncio.Future[Any]]]) -> None:
        for work, future in asked:
            try:
                result, fault = work(self._store), None
            except Exception as error:  # noqa: BLE001 - it belongs to the one who asked
                result, fault = None, error
            self._later(partial(_settle, future, result, fault))

    def _tell(self, begun: list[_Begun], fault: LedgerError | None, seconds: float, *, wrote: bool) -> None:
        if fault is not None or wrote:
            self._wrote(seconds, "" if fault is None else str(fault))
        for one in begun:
            if fault is None and not (one.again or one.waits.done()) and self._may_change(one.ticket):
                self._loop.call_later(GATHERING, self._look_again, one._replace(again=True))
                continue
            one.bound.cancel()
            if one.ticket.end is None:
                _settle(one.waits, None, fault)

    def _may_change(self, ticket: Ticket) -> bool:
        """Whether a call is to be refused for one whose end another sidecar may be about to write."""
        earlier, refused = ticket.earlier, ticket.refused and ticket.end is None
        return self._store.shared and refused and earlier is not None and earlier.state is State.OPEN

    def _look_again(self, one: _Begun) -> None:
        one.ticket.earlier = None  # what was seen is over: should the call be given up now, its entry needs an end
        self._begun.append(one)
        self._wake()

    def _later(self, told: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it all that waits
            self._loop.call_soon_threadsafe(told)


def _wrote(begun: list[Ticket], ended: list[Ticket]) -> bool:
    """Note which entries are there after a commit; return whether it wrote anything for sure."""
    for ticket in begun:
        ticket.written = not ticket.left_out
    return any(ticket.written for ticket in begun) or any(ticket.written or ticket.late for ticket in ended)


def _settle(future: asyncio.Future[Any], result: object, fault: Exception | None) -> None:
    if fault is None and not future.done():
        future.set_result(result)
    elif fault is not None and not future.done():
        future.set_exception(fault)
        future.exception()  # the call that waited may be over by then, which is no defect
