"""Finds the line on which a key of a TOML text stands, which `tomllib` does not tell.

The text must be valid. No grammar of TOML is repeated here: the parser itself says which lines make up a statement,
since no beginning of a statement that ends in mid-air is valid.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str, ...]


class TomlLines(NamedTuple):
    """The lines of a text, and of each key the first and the last line of its statement; lines count from 1."""

    text: tuple[str, ...]
    places: dict[Path, tuple[int, int]]

    @classmethod
    def of(cls, text: str) -> TomlLines:
        """Find every key of a valid TOML text."""
        places: dict[Path, tuple[int, int]] = {}
        table: Path = ()
        for first, last, statement in _statements(text):
            keys = tuple(_keys(tomllib.loads(statement)))
            if statement.lstrip().startswith("["):
                table = max(keys, key=len)
                found = [table[:length] for length in range(1, len(table) + 1)]
            else:
                found = [table + key for key in keys]
            for path in found:
                places.setdefault(path, (first, last))
        return cls(tuple(_lines(text)), places)

    def line(self, *path: str, value: str | None = None) -> int:
        """Return the line of a key, or the nearest that is known of what holds it.

        Args:
            path: names from the outermost table to the key.
            value: a text in the key's value; its own line is told if one line alone of the statement holds it, quoted.
        """
        while path and path not in self.places:
            path = path[:-1]
        first, last = self.places.get(path, (1, 1))
        quoted = [f'"{value}"', f"'{value}'"]
        holding = [number for number in range(first, last + 1) if any(text in self.text[number - 1] for text in quoted)]
        return holding[0] if value is not None and len(holding) == 1 else first


def _statements(text: str) -> Iterator[tuple[int, int, str]]:
    """Give the first and last line of each statement, and its text; a comment or empty line is one without keys."""
    pending: list[str] = []
    for number, line in enumerate(_lines(text), 1):
        pending.append(line)
        statement = "\n".join(pending)
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.strip() and not statement.lstrip().startswith("#"):
            yield number - len(pending) + 1, number, statement
        pending.clear()


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _keys(table: object) -> Iterator[Path]:
    """Give the path of every key, in tables and arrays of tables."""
    match table:
        case dict():
            for name, value in table.items():
                yield (name,)
                yield from ((name, *rest) for rest in _keys(value))
        case list():
            for item in table:
                yield from _keys(item)
        case _:
            return
