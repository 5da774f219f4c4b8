"""Finds what must never be committed: `python -m tests.hygiene`, as `make hygiene` calls it.

It reads what git tracks, changes nothing and quotes no line: a finding may be the secret itself.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_LINES = 250  # of a module of the product: past that it is asking to be two

# In brackets stands what keeps a pattern from finding itself.
FORBIDDEN = {
    "a package registry's host: requirements name packages, each machine its own index": re.compile(
        r"py[p]i[.]org|python[h]osted[.]org|npm[j]s[.]org|deb[.]deb[i]an[.]org"
    ),
    "a path of one machine: write it relative to the repository": re.compile(
        r"(?<![\w.~-])[/](?:root|work|Users/\w+|home/\w+)/"
    ),
    "a private key: make it when it is needed, as trustme does in the tests": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY"
    ),
    "an ignore without its reason: name the rule, then ' - ' or '  # ' and why": re.compile(
        r"# n[o]qa(?!: [A-Z0-9, ]+ - \S)|# type[:] ignore(?!\[[a-z, -]+\]  # \S)"
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong where; one that is not fatal is a question only."""

    path: str
    line: int
    text: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {'' if self.fatal else 'a question: '}{self.text}"


def findings(path: str, text: str) -> Iterator[Finding]:
    """Look through one file; `path` is relative to the repository."""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        for what, pattern in FORBIDDEN.items():
            if pattern.search(line):
                yield Finding(path, number, what)
    if path.startswith("proxy/") and path.endswith(".py") and len(lines) > MAX_LINES:
        yield Finding(path, len(lines), f"longer than {MAX_LINES} lines; is it two modules?", fatal=False)


def tracked(root: Path) -> Iterator[tuple[str, str]]:
    """Return path and text of each text file that git tracks below `root`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)  # noqa: S607 - from PATH
    for path in filter(None, listed.stdout.decode().split("\0")):
        try:
            yield path, (root / path).read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):  # deleted but not yet committed, or no text
            continue


def report(files: Iterable[tuple[str, str]]) -> int:
    """Print what is found; return how many findings are fatal."""
    found = [finding for path, text in files for finding in findings(path, text)]
    for finding in found:
        sys.stdout.write(f"{finding}\n")
    return sum(finding.fatal for finding in found)


if __name__ == "__main__":
    sys.exit(1 if report(tracked(Path(__file__).parents[1])) else 0)
