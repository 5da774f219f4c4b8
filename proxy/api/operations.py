"""Finds the operation of Localpayment's that a method and path mean.

Pure: one walk over the path's segments, whose cost does not grow with the catalogue.
It must never take an unknown call for one without effects, and never decode what it was given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Final

from proxy.api.catalogue import NAMED, NAMES, OPERATIONS, OTHER, Kind, Operation

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["NAMED", "NAMES", "OPERATIONS", "OTHER", "Kind", "Match", "Operation", "match"]

# Parameters that name what a call is about; an account number is no such id, and is never kept.
_ID_PARAMETERS: Final = frozenset(("{externalId}", "{id}"))


@dataclass(slots=True)  # not frozen: each call makes one, and a frozen one takes three times as long to make
class Match:
    """What a request means.

    Attributes:
        operation: OTHER for what the catalogue does not know.
        external_id: the id in the path as it was sent, percent-encoding included; None without one.
        contested: two templates fit and neither is the more special one, so that which of them Localpayment takes is
            unknown: PATCH /api/payin/capture/refund captures "refund" or refunds "capture".
    """

    operation: Operation
    external_id: str | None = field(default=None, repr=False)
    contested: bool = False


_NO_MATCH: Final = Match(OTHER)


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a template means for one method: the operation, and which segment holds its id."""

    operation: Operation
    id_at: int | None
    contested: bool


class _Node:
    """A node of the tree of path segments."""

    __slots__ = ("literals", "meanings", "parameter")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.meanings: dict[str, _Meaning] = {}

    def add(self, segments: Sequence[str], method: str, meaning: _Meaning) -> None:
        """Add a template below this node."""
        node = self
        for segment in segments:
            if not segment.startswith("{"):
                node = node.literals.setdefault(segment, _Node())
                continue
            if node.parameter is None:
                node.parameter = _Node()
            node = node.parameter
        node.meanings[method] = meaning


def match(method: str, path: str) -> Match:
    """Find what a raw path, without its query, means for a method; literal segments beat parameters.

    Methods and paths are compared as they are, with case and percent-encoding. A slash at the end makes no difference.
    """
    if method == "HEAD":
        method = "GET"
    known = _LITERAL.get((method, path))
    if known is not None:
        return known
    segments = path.split("/")
    if not segments[-1]:
        del segments[-1]
    meaning = _meaning(_ROOT, segments, method)
    if meaning is None:
        return _NO_MATCH
    return Match(meaning.operation, None if meaning.id_at is None else segments[meaning.id_at], meaning.contested)


def _meaning(node: _Node, segments: list[str], method: str) -> _Meaning | None:
    """Walk down; where a literal fits, come back for the parameter beside it if that leads nowhere."""
    ways = [(node, 0)]
    while ways:
        here: _Node | None
        here, at = ways.pop()
        for segment in segments[at:]:
            at += 1
            literal, parameter = here.literals.get(segment), here.parameter if segment else None
            if literal is not None and parameter is not None:
                ways.append((parameter, at))
            here = literal or parameter
            if here is None:
                break
        else:
            meaning = here.meanings.get(method)
            if meaning is not None:
                return meaning
    return None


def every_match(method: str, path: str) -> set[Operation]:
    """Find all that a raw path may mean where each encoded slash parts segments, or is data of a parameter.

    Letter case, repeated slashes, what is behind a `;`, and spaces or dots at an end make no difference. The cost
    grows with the path's length alone.
    """
    ways = {(_ROOT.literals[""], False)}  # each with whether its last segment is a parameter's
    for segment in path.lower().split("/")[1:]:
        parts = segment.split("%2f")
        for at, part in enumerate(part.partition(";")[0].strip(" +").rstrip(" +.") for part in parts):
            reached = {way for way in ways if not part or (at and way[1])}
            for node, _ in ways:
                if part in node.literals:
                    reached.add((node.literals[part], False))
                if node.parameter is not None and (part or len(parts) > 1):
                    reached.add((node.parameter, True))
            ways = reached
    method = "GET" if method == "HEAD" else method
    return {node.meanings[method].operation for node, _ in ways if method in node.meanings}


def _meanings() -> Iterator[tuple[str, list[str], _Meaning]]:
    """Give every method and template with its meaning, those that settle a contest last."""
    plain = [
        (method, template.split("/"), operation)
        for operation in OPERATIONS
        for method in operation.methods
        for template in operation.templates
    ]
    for method, segments, operation in plain:
        yield method, segments, _Meaning(operation, _id_at(segments), contested=False)
    for (method, one, operation), (other_method, other, other_operation) in combinations(plain, 2):
        both = _overlap(one, other)
        if method != other_method or operation is other_operation or both is None or both in (one, other):
            continue
        first, precise = min((one, operation), (other, other_operation), key=lambda fit: _wildcards(fit[0]))
        yield method, both, _Meaning(precise, _id_at(first), contested=True)


def _overlap(one: list[str], other: list[str]) -> list[str] | None:
    """The template of all paths that fit both, or None."""
    if len(one) != len(other):
        return None
    both = []
    for a, b in zip(one, other, strict=True):
        if a != b and not a.startswith("{") and not b.startswith("{"):
            return None
        both.append(b if a.startswith("{") else a)
    return both


def _wildcards(segments: list[str]) -> list[bool]:
    return [segment.startswith("{") for segment in segments]


def _id_at(segments: list[str]) -> int | None:
    return next((at for at, segment in enumerate(segments) if segment in _ID_PARAMETERS), None)


def _compiled() -> tuple[_Node, dict[tuple[str, str], Match]]:
    root, literal = _Node(), dict[tuple[str, str], Match]()
    for method, segments, meaning in _meanings():
        root.add(segments, method, meaning)
        if not any(_wildcards(segments)) and not meaning.contested:
            path = "/".join(segments)
            literal[method, path] = literal[method, path + "/"] = Match(meaning.operation)
    return root, literal


_ROOT, _LITERAL = _compiled()
