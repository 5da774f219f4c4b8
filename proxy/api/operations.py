"""Finds the operation of Localpayment's that a method and path mean.

Pure: one walk over the path's segments, whose cost does not grow with the catalogue.
It must never take an unknown call for one without effects, and never decode what it was given.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Final

from proxy.api.catalogue import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.api.catalogue import DuplicateKey

# Parameters that name what a call is about; an account number is no such id, and is never kept.
_ID_PARAMETERS: Final = frozenset(("{externalId}", "{id}"))


class Kind(StrEnum):
    """What a call does. A quote makes something short-lived, so it is not free to repeat."""

    READ = "read"
    QUOTE = "quote"
    STATE = "state"
    MONEY_IN = "money_in"
    MONEY_OUT = "money_out"
    MONEY_INTERNAL = "money_internal"


_MONEY: Final = frozenset((Kind.MONEY_IN, Kind.MONEY_OUT, Kind.MONEY_INTERNAL))


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the catalogue.

    Attributes:
        name: a label of metrics and logs, from a closed set.
        methods: in upper case; HEAD is not listed but goes with GET.
        templates: paths with parameters in braces, without a slash at the end, which may stand there or not.
        kind: what a call does.
        duplicate_key: where the merchant's externalId sits, or None if Localpayment has nothing to know a repeat by.
        check: template of the GET path that settles an unknown outcome, or None.
        has_effects: whether carrying it out twice may differ from once.
        moves_money: whether it charges, pays out, refunds, transfers or exchanges.
        recurs: whether it sets the state of what its path names, as often as that changes, and moves no money.
    """

    name: str
    methods: tuple[str, ...]
    templates: tuple[str, ...]
    kind: Kind
    duplicate_key: DuplicateKey | None = None
    check: str | None = None
    has_effects: bool = field(init=False)
    moves_money: bool = field(init=False)
    recurs: bool = field(init=False)

    def __post_init__(self) -> None:
        """Compute once what every call asks."""
        object.__setattr__(self, "has_effects", self.kind is not Kind.READ)
        object.__setattr__(self, "moves_money", self.kind in _MONEY)
        object.__setattr__(self, "recurs", self.duplicate_key == "path" and not self.moves_money)


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


OPERATIONS: Final = tuple(
    Operation(row.name, tuple(row.methods.split()), tuple(row.paths.split()), Kind(row.kind), *row[4:]) for row in ROWS
)
NAMES: Final = frozenset(operation.name for operation in OPERATIONS)
# A GET is not always free of effects, and nothing is known of this one.
OTHER: Final = Operation("other", (), (), Kind.STATE)
NAMED: Final = {operation.name: operation for operation in (*OPERATIONS, OTHER)}
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
