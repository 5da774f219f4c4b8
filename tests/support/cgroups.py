"""Runs commands in a memory cgroup of their own, of either version, as a container's runtime does."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path("/sys/fs/cgroup")
# The names of version 2, and of version 1: the limit, what is used, and the most that was.
V2: Final = ("memory.max", "memory.current", "memory.peak")
V1: Final = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes")


@dataclass(frozen=True)
class MemoryCgroup:
    """A memory cgroup; its limit is in bytes."""

    folder: Path
    names: tuple[str, str, str]

    @property
    def enter(self) -> tuple[str, ...]:
        """What starts a command inside it."""
        return ("/bin/sh", "-c", f'echo $$ > {self.folder}/cgroup.procs && exec "$@"', "sh")

    @property
    def most(self) -> int:
        """Bytes that were used at most."""
        return int((self.folder / self.names[2]).read_text())

    @property
    def killed(self) -> bool:
        """Whether the kernel killed a process for want of memory."""
        file = self.folder / ("memory.events" if self.names is V2 else "memory.oom_control")
        return "oom_kill 0" not in file.read_text().splitlines()


def version_here() -> tuple[str, str, str]:
    """The names of the version that has the memory of this machine; one alone can have it."""
    return V2 if (ROOT / "cgroup.controllers").exists() else V1


@contextlib.contextmanager
def memory_cgroup(limit: int) -> Iterator[MemoryCgroup]:
    """Make a cgroup, and remove it once its processes have ended."""
    names = version_here()
    parent = ROOT if names is V2 else ROOT / "memory"
    folder = Path(tempfile.mkdtemp(prefix="localpayment-proxy-", dir=parent))
    try:
        (folder / names[0]).write_text(str(limit))
        with contextlib.suppress(OSError):  # where there is swap, it would hide what a container's limit shows
            (folder / ("memory.swap.max" if names is V2 else "memory.swappiness")).write_text("0")
        yield MemoryCgroup(folder, names)
    finally:
        folder.rmdir()


def _can_be_made() -> bool:
    try:
        with memory_cgroup(64 * 1024 * 1024):
            return os.geteuid() == 0
    except OSError:
        return False


needs_memory_cgroup = pytest.mark.skipif(
    not _can_be_made(), reason="THE BOUNDS OF MEMORY ARE NOT TESTED: no memory cgroup can be made here"
)
