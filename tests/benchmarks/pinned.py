"""Runs a program on one core and reads what it costs there. Linux only: the figures are read from /proc."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from tests.benchmarks.tools import TASKSET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

PROXY_CORE: Final = 0
LOAD_CORE: Final = 1
_ENDING: Final = 5.0  # seconds that a program has to end when it is told to
_TICK_NS: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


class Spent(NamedTuple):
    """Seconds that a program's threads ran, and that they waited for a core that others had."""

    ran: float
    waited: float

    def since(self, earlier: Spent) -> Spent:
        """Return what was spent after an earlier reading."""
        return Spent(self.ran - earlier.ran, self.waited - earlier.waited)


class Pinned:
    """A program that runs on one core while the block lasts.

    Args:
        command: program and arguments.
        core: its number.
        said: stem of the files that take what it writes: `.out` and `.err`.
        environment: all of it.
    """

    def __init__(
        self, command: Sequence[str], *, core: int, said: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = [TASKSET.found(), "--cpu-list", str(core), *command]
        self._said = said
        self._environment = environment or {"PATH": os.defpath}
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._said.with_suffix(".out").open("ab") as out, self._said.with_suffix(".err").open("ab") as err:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=dict(self._environment)
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def complaint(self) -> str:
        """The end of what it wrote on stderr."""
        return self._said.with_suffix(".err").read_text(errors="replace")[-2000:].strip()

    def resident_kib(self) -> int:
        """KiB of memory that it and its children have in RAM; what they share counts for each."""
        return sum(int((root / "statm").read_text().split()[1]) * _PAGE_KIB for root in self._family())

    def spent(self) -> Spent:
        """Return what it and its children have spent since they started, those included that have ended."""
        ran = waited = 0
        for root in self._family():
            ended = (root / "stat").read_text().rpartition(")")[2].split()[13:15]  # cutime, cstime of proc_pid_stat(5)
            ran += sum(map(int, ended)) * _TICK_NS
            for thread in (root / "task").iterdir():
                with suppress(OSError):  # a thread may end while one looks
                    on, off, _ = (thread / "schedstat").read_text().split()
                    ran += int(on)
                    waited += int(off)
        return Spent(ran / 1e9, waited / 1e9)

    def _family(self) -> Iterator[Path]:
        waiting = [self._process.pid]
        for pid in waiting:
            root = Path("/proc", str(pid))
            for thread in (root / "task").iterdir():
                with suppress(OSError):
                    waiting.extend(map(int, (thread / "children").read_text().split()))
            yield root
