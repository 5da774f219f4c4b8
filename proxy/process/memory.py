"""Reads how much memory the process may have, and counts what it holds of callers' bytes.

What is here is counted whether it fits or not; what is still to come must fit.
"""

from __future__ import annotations

import ctypes
from enum import StrEnum
from pathlib import Path
from typing import Final

KIB: Final = 1024
# Measured by `python -m tests.benchmarks.footprint`, and rounded up; docs/how-to/sizing.md has the figures.
PROCESS: Final = 72 * KIB * KIB  # bytes of the process with all its parts, before the first call
CALL: Final = 128 * KIB  # of a call in flight, without what the budget counts
CONNECTION: Final = 16 * KIB  # of a caller's connection
OVER_TLS: Final = 56 * KIB  # of one that speaks TLS
_OF_THE_LIMIT: Final = 4  # one part in so many is the most that connections may need
LEAST: Final = 8 * KIB * KIB  # of a budget
OF_A_CALL: Final = 256 * KIB  # of a budget, for each call in flight, where nothing limits the memory
_SPARE: Final = 10  # one part in so many of the limit is left for what the allocator cannot give back
MUCH: Final = 4 * KIB * KIB  # held for callers, of which the allocator keeps a part
_UNLIMITED: Final = 1 << 60


class Holding(StrEnum):
    """What bytes are held for: the values of a metric's label."""

    HEADS = "heads"
    BODIES = "bodies"
    ANSWERS = "answers"
    PIPELINED = "pipelined"


class MemoryBudget:
    """Counts the bytes that are held for callers.

    Args:
        limit: bytes that may be held.

    Attributes:
        held: bytes by what they are held for.
        used: all of them.
        most: the most that they were; who looks at it sets it back.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = self.most = 0
        self.held = dict.fromkeys(Holding, 0)
        self._for_bodies = limit - limit // 4  # heads and answers still fit when bodies take all that they may

    def fits(self, size: int) -> bool:
        """Whether so many bytes more would fit."""
        return self.used + size <= self.limit

    def fits_body(self, size: int) -> bool:
        """Whether so many bytes more of a body would fit; they must leave some room for anything else."""
        return self.used + size <= self._for_bodies

    def charge(self, kind: Holding, size: int) -> None:
        """Count bytes that are held from now on, or with a negative size no longer."""
        self.held[kind] += size
        self.used += size
        if self.used > self.most:  # noqa: PLR1730 - a call of `max` costs three times as much
            self.most = self.used


class Bursts:
    """Tells when to give back what bursts took: once much of one is over, and once more when nothing is held. Pure."""

    def __init__(self) -> None:
        self._most = 0
        self._rest = False

    def over(self, used: int, most: int, connections: int) -> bool:
        """Tell whether to give back now.

        Args:
            used: bytes that are held for callers.
            most: the most that were since the last time that it was so.
            connections: bytes that callers' connections take.
        """
        self._most = max(self._most, most + connections)
        burst = self._most - used - connections > MUCH
        if not (burst or (self._rest and not used)):
            return False
        self._most, self._rest = 0, burst
        return True


def default_budget(limit: int | None, in_flight: int, connections: int, *, tls: bool) -> int:
    """Return what a budget is when no setting says so.

    Args:
        limit: bytes that the process may have, None where nothing limits it.
        in_flight: calls at once.
        connections: of callers, at once.
        tls: whether these speak TLS.
    """
    if limit is None:
        return max(in_flight * OF_A_CALL, LEAST)
    needed = PROCESS + in_flight * CALL + connections * (OVER_TLS if tls else CONNECTION) + limit // _SPARE
    return max(limit - needed, LEAST)


def connections_in(limit: int, *, tls: bool) -> int:
    """Return how many connections fit their part of a memory limit."""
    return max(limit // _OF_THE_LIMIT // (OVER_TLS if tls else CONNECTION), 1)


def give_back() -> None:
    """Give the system what the allocator holds of it unused; glibc keeps the memory of a burst else. Blocks."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def memory_limit(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the bytes that the process's memory cgroup allows, of version 1 or 2; None where nothing limits it."""
    least = _UNLIMITED
    for line in _text(own).splitlines():
        _, kind, path = line.split(":", 2)
        if kind == "memory":
            least = min(least, _limit_v1(groups / "memory", path))
        elif not kind:
            least = min(least, _limit_v2(groups, path))
    return least if least < _UNLIMITED else None


def _limit_v1(root: Path, path: str) -> int:
    """Return what holds for a group and those above it; a container may see its own as the root."""
    told = _told(root / path.lstrip("/"), "stat") or _told(root, "stat")
    limits = [int(line.split()[1]) for line in told.splitlines() if line.startswith("hierarchical_memory_limit ")]
    return min(limits, default=_UNLIMITED)


def _limit_v2(root: Path, path: str) -> int:
    folder = root / path.lstrip("/")
    told = [_told(each, "max").strip() for each in (folder, *folder.parents) if each.is_relative_to(root)]
    return min((int(text) for text in told if text.isdecimal()), default=_UNLIMITED)


def _told(group: Path, name: str) -> str:
    return _text(group / f"memory.{name}")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
