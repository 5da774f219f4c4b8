"""Reads WWW-Authenticate fields as lists of challenges (RFC 9110 sections 5.6 and 11.6.1). Pure.

It must never find a scheme in a part of another token, in a parameter or in a quoted string, nor in a field that is
malformed anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_TOKEN68: Final = rb"[A-Za-z0-9\-._~+/]+=*"
_PARAMETER: Final = rb"(?P<name>%b)[ \t]*=[ \t]*(?P<value>%b|%b)" % (_TOKEN, _TOKEN, _QUOTED)
_PIECES: Final = re.compile(rb'%b|[^",]+|,|"' % _QUOTED)
_CONTINUES: Final = re.compile(_PARAMETER)
_BEGINS: Final = re.compile(rb"(?P<scheme>%b)(?: +(?:%b|(?P<token68>%b)))?" % (_TOKEN, _PARAMETER, _TOKEN68))
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge.

    Attributes:
        scheme: in lower case.
        parameters: by their names in lower case; quoted values without their quotes.
        token68: what stands in the place of parameters, or None.
    """

    scheme: bytes
    parameters: dict[bytes, bytes]
    token68: bytes | None = None


def challenges_of(headers: Iterable[tuple[bytes, bytes]]) -> list[Challenge] | None:
    """Return the challenges of all WWW-Authenticate fields, or None when one of the fields is malformed."""
    found: list[Challenge] = []
    for name, value in headers:
        if name.lower() == b"www-authenticate":
            listed = _challenges(value)
            if listed is None:
                return None
            found += listed
    return found


def _challenges(value: bytes) -> list[Challenge] | None:
    elements = _elements(value)
    if elements is None:
        return None
    found: list[Challenge] = []
    for element in elements:
        begun = _BEGINS.fullmatch(element)
        more = _CONTINUES.fullmatch(element) if begun is None else None
        if begun is not None:
            found.append(Challenge(begun["scheme"].lower(), {}, begun["token68"]))
        elif more is None or not found or not found[-1].parameters:
            return None
        parameter = begun or more
        if parameter is not None and parameter["name"] is not None and not _add(found[-1], parameter):
            return None
    return found


def _elements(value: bytes) -> list[bytes] | None:
    """Split at the commas that stand in no quoted string; empty members are left out (RFC 9110 section 5.6.1.2)."""
    members = [b""]
    for piece in _PIECES.finditer(value):
        if piece[0] == b'"':  # one that is never closed
            return None
        if piece[0] == b",":
            members.append(b"")
        else:
            members[-1] += piece[0]
    return [member for member in (member.strip(b" \t") for member in members) if member]


def _add(challenge: Challenge, parameter: re.Match[bytes]) -> bool:
    """Add a parameter; False when the challenge has one of that name (RFC 9110 section 11.2)."""
    name, value = parameter["name"].lower(), parameter["value"]
    if name in challenge.parameters:
        return False
    challenge.parameters[name] = _ESCAPED.sub(rb"\1", value[1:-1]) if value.startswith(b'"') else value
    return True
