"""Measures contenders in turns, in many short rounds, so that none has a better moment than another.

The first rounds start each anew, for what only a fresh process shows; then all run, and take turns at the load. Each
round begins with another one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from tests.benchmarks import figures, load
from tests.benchmarks.ground import DOWNLOAD, LARGE, READ, UPLOAD, until_answering
from tests.benchmarks.pinned import PROXY_CORE, Pinned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.contenders import Contender
    from tests.benchmarks.ground import Ground

IDLERS: Final = 2000
LARGE_CONNECTIONS: Final = 4
_SLICE: Final = 1  # seconds of load at a time; wrk takes whole ones
_BETWEEN: Final = 0.15  # seconds that starting it takes
_COLD_AFTER: Final = 6.0  # idle seconds; longer than the sidecar keeps a connection that carries nothing
_WARM: Final = {32: (figures.P99_32, figures.P999_32), 128: (figures.P99_128, figures.P999_128)}  # by connections
_COLD: Final = {32: (figures.COLD_32, figures.COLD_999_32), 128: (figures.COLD_128, figures.COLD_999_128)}
_BEFORE_IDLERS: Final = 64  # connections that have called before idle ones are counted, so that what is lazy is there


class Measuring:
    """What was found so far.

    Attributes:
        samples: by figure and contender, one for each round.
        waited: for each turn at the load, the share of a proxy's working time that it waited for its core.
        failed: calls that failed, by contender.
    """

    def __init__(self, ground: Ground, contenders: Sequence[Contender], tell: Callable[[str], None]) -> None:
        self.samples: dict[str, dict[str, list[float]]] = {figure.key: {} for figure in figures.FIGURES}
        self.waited: list[float] = []
        self.failed: dict[str, int] = defaultdict(int)
        self._ground = ground
        self._contenders = contenders
        self._called: dict[str, float] = defaultdict(float)  # when each had its last turn
        self._tell = tell

    def starts(self, rounds: int, idlers: int) -> None:
        """Measure fresh processes: start, memory, idle callers."""
        for number in range(rounds):
            self._tell(f"start {number + 1} of {rounds}")
            for contender in self._turns(number):
                if contender.command:
                    self._fresh(contender, idlers)

    def loads(self, rounds: int, until: float) -> int:
        """Measure under load, for so many rounds, or until a moment of the monotonic clock; return how many."""
        with ExitStack() as exits:
            running = {
                contender.name: exits.enter_context(self._pinned(contender))
                for contender in self._contenders
                if contender.command
            }
            for contender in self._contenders:
                if contender.command:
                    until_answering(contender.port, running[contender.name])
            done = self._rounds(rounds, until - rounds * self._bodies_take, lambda number: self._calls(number, running))
            self._rounds(done, until, self._bodies)  # later, since they leave memory behind
        return done

    @property
    def _bodies_take(self) -> float:
        """Seconds that a round of large bodies takes."""
        return 2 * len(self._contenders) * (_SLICE + _BETWEEN)

    def _rounds(self, rounds: int, until: float, measure: Callable[[int], None]) -> int:
        took = 0.0
        for number in range(rounds):
            began = time.monotonic()
            if number and began + took > until:
                return number
            self._tell(f"round {number + 1} of {rounds}")
            measure(number)
            took = time.monotonic() - began
        return rounds

    def _calls(self, number: int, running: dict[str, Pinned]) -> None:
        for connections, rate in ((1, figures.RATE_1), (32, figures.RATE_32), (128, figures.RATE_128)):
            for contender in self._turns(number):
                self._small(contender, running.get(contender.name), connections, rate)
        for connections, tails in _COLD.items():
            for contender in self._turns(number):
                self._rest(contender)
                self._note_tails(contender, tails, self._load(contender, connections))

    def _bodies(self, number: int) -> None:
        for figure, path, size in ((figures.DOWNLOAD, DOWNLOAD, 0), (figures.UPLOAD, UPLOAD, LARGE)):
            for contender in self._turns(number):
                found = self._load(contender, LARGE_CONNECTIONS, path, size)
                self._note(figure, contender, found.per_second)

    def _small(self, contender: Contender, program: Pinned | None, connections: int, rate: figures.Figure) -> None:
        load.warm(contender, connections)
        before = None if program is None else program.spent()
        found = self._load(contender, connections)
        self._note(rate, contender, found.per_second)
        if rate is figures.RATE_1:
            self._note(figures.P50_1, contender, found.p50 * 1e6)
        if connections in _WARM:
            self._note_tails(contender, _WARM[connections], found)
        if program is None or before is None:
            return
        spent = program.spent().since(before)
        self.waited.append(spent.waited / (spent.ran + spent.waited))
        if rate is figures.RATE_32:
            self._note(figures.CPU_32, contender, spent.ran / found.calls * 1e6)
        if rate is figures.RATE_128:
            self._note(figures.LOADED, contender, program.resident_kib() / 1024)

    def _fresh(self, contender: Contender, idlers: int) -> None:
        began = time.monotonic()
        with self._pinned(contender) as program:
            until_answering(contender.port, program)
            self._note(figures.READY, contender, time.monotonic() - began)
            self._note(figures.IDLE, contender, program.resident_kib() / 1024)
            load.warm(contender, _BEFORE_IDLERS)
            empty = program.resident_kib()
            for count in load.idlers(contender, idlers):
                self._note(figures.IDLER, contender, (program.resident_kib() - empty) / count)

    def _load(self, contender: Contender, connections: int, path: str = READ, upload: int = 0) -> load.Load:
        bearer = None if contender.command else self._ground.token
        found = load.run(contender, connections=connections, seconds=_SLICE, path=path, upload=upload, bearer=bearer)
        self.failed[contender.name] += found.failed
        self._called[contender.name] = time.monotonic()
        return found

    def _rest(self, contender: Contender) -> None:
        """Wait until a contender has been idle for long enough to be cold."""
        time.sleep(max(self._called[contender.name] + _COLD_AFTER - time.monotonic(), 0))

    def _note_tails(self, contender: Contender, tails: tuple[figures.Figure, figures.Figure], found: load.Load) -> None:
        for figure, value in zip(tails, (found.p99, found.p999), strict=True):
            self._note(figure, contender, value * 1e3)

    def _note(self, figure: figures.Figure, contender: Contender, value: float) -> None:
        self.samples[figure.key].setdefault(contender.name, []).append(value)

    def _turns(self, number: int) -> list[Contender]:
        """Return all, beginning with another one each time."""
        first = number % len(self._contenders)
        return [*self._contenders[first:], *self._contenders[:first]]

    def _pinned(self, contender: Contender) -> Pinned:
        return Pinned(
            contender.command,
            core=PROXY_CORE,
            said=self._ground.folder / contender.name,
            environment=contender.environment,
        )
