"""Lists every path that a server may read a given path as.

Pure. Servers decode, cut parameters, resolve dots, trim and fold in orders of their own, so every order is followed.
It must never leave out a reading to save time: a path with too many of them is an error.
"""

from __future__ import annotations

import re
import unicodedata
from enum import IntEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

# Honest paths have one to four, and few characters.
_MOST: Final = 32
_MOST_CHARACTERS: Final = 32 * 1024  # of all readings together; the longest target has 8 KiB
_ENCODED_SLASH: Final = re.compile("%(?=2F)", re.IGNORECASE)
_SLASHES: Final = re.compile("/{2,}")
_PARAMETERS: Final = re.compile(";[^/]*")
# Windows drops dots and spaces at a name's end, form decoders read `+` as a space, others trim both ends.
_TRIMMED: Final = re.compile(r"/[ +]|[ +.](?:/|\Z)").search
_SPACES: Final = re.compile(r"(?<=/)[ +]++|(?<![ +])[ +]++(?=/|\Z)")
_ENDS: Final = re.compile(r"(?<![ +.])[ +.]++(?=/|\Z)")
_DOTS_AND_SPACES: Final = re.compile(r"(?<![ .])[ .]++(?=/|\Z)")
# Encoded slashes that end the path, read backwards, which is quick for any path.
_SLASHES_AT_END: Final = re.compile("/?(?:f2(?:52)*%)+", re.IGNORECASE).match
# What Windows' best fit makes of signs that Unicode's compatibility forms leave alone: slashes, backslashes, a dot.
_BEST_FIT: Final = str.maketrans("\u2044\u2215\u29f8\u2216\u29f5\u29f9\u3002", "///\\\\\\.")
_ACCENTS: Final = frozenset(("Mn", "Me"))  # categories of combining marks


class Change(IntEnum):
    """How far a reading is from the path as it was sent; repeated slashes and trimmed ends count for nothing."""

    NONE = 0
    DECODED = 1  # once, and nothing else
    MORE = 2


class UnreadableError(Exception):
    """A path that no list of readings can be made of.

    Attributes:
        is_escape: whether an escape in it stands for what cannot be seen, such as a control, or for bytes that are not
            UTF-8; else it has too many readings.
    """

    def __init__(self, *, is_escape: bool) -> None:
        super().__init__()
        self.is_escape = is_escape


def readings(path: str) -> Iterator[tuple[str, Change]]:
    """Give the path itself and every other reading of it, each with how far it is from what was sent.

    Args:
        path: in ASCII, its percent escapes well formed.

    Raises:
        UnreadableError: while they are listed.
    """
    waiting = [(path, Change.NONE)]
    seen = set(waiting)
    for reading, change in waiting:
        if not reading.isprintable():
            raise UnreadableError(is_escape=True)
        yield reading, change
        for step in _steps(reading, change):
            if step[0] != reading and step not in seen:
                seen.add(step)
                waiting.append(step)
        if len(waiting) > _MOST or len(waiting) * len(path) > _MOST_CHARACTERS:
            raise UnreadableError(is_escape=False)


def _steps(path: str, change: Change) -> Iterator[tuple[str, Change]]:
    """Give what one stage of a server may make of a path; each is tried only if the path has what it looks for."""
    if "//" in path:
        yield _SLASHES.sub("/", path), change
    if _TRIMMED(path):
        yield _SPACES.sub("", path), change
        yield _ENDS.sub("", path), change
        yield _DOTS_AND_SPACES.sub("", path), change
    if "." in path:
        yield _without_suffix(path), change
    if "%" in path:
        yield _decoded(path), Change.DECODED if change is Change.NONE else Change.MORE
        # Parted at its slashes first and decoded segment by segment.
        if _ENCODED_SLASH.search(path):
            yield _decoded(_ENCODED_SLASH.sub("%25", path)), change
            yield _with_slash_at_end(path), change
    for rewritten in _rewritten(path):
        yield rewritten, Change.MORE


def _with_slash_at_end(path: str) -> str:
    """Decode the slashes that end a path as one, while those within a parameter stay the data that they are."""
    found = _SLASHES_AT_END(path[::-1])
    return path if found is None else path[: -found.end()] + "/"


def _rewritten(path: str) -> Iterator[str]:
    if "\\" in path:
        yield path.replace("\\", "/")
    if ";" in path:
        yield _PARAMETERS.sub("", path)
    if "/." in path:
        yield _without_dots(path)
    if "?" in path or "#" in path:  # decoded first and parted from the query later
        yield path.partition("?")[0].partition("#")[0]
    if path.startswith("//"):  # a network-path reference (RFC 3986 section 4.2): what follows two slashes is a host
        yield "/" + path[2:].partition("/")[2]
    if not path.isascii():
        yield _in_ascii(path)


def _without_suffix(path: str) -> str:
    """Cut what Django REST framework and Rails take for a format: `.json` at the end, but not all of a segment."""
    stem = path.removesuffix("/")
    at = stem.rfind(".")
    return path if at <= stem.rfind("/") + 1 else stem[:at] + path[len(stem) :]


def _without_dots(path: str) -> str:
    """Resolve dot segments as RFC 3986 section 5.2.4 does."""
    segments = path.split("/")
    kept: list[str] = []
    for segment in segments[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in {".", ".."}:
        kept.append("")
    return "/" + "/".join(kept)


def _decoded(path: str) -> str:
    """Undo percent-encoding; overlong forms and surrogates are not UTF-8 (RFC 3629 section 3)."""
    try:
        return unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise UnreadableError(is_escape=True) from None


def _in_ascii(path: str) -> str:
    """Fold full-width and other compatibility forms, accents, and case beyond ASCII."""
    letters = unicodedata.normalize("NFKD", path.translate(_BEST_FIT))
    kept = "".join(letter for letter in letters if unicodedata.category(letter) not in _ACCENTS)
    # Capitals first: the dotless i and the long s are letters of ASCII only by way of them.
    return kept.upper().lower()
