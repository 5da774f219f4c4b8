"""Names what the ledger tells those who look on. Pure values; none of them holds an external id or a body."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.ledger.entry import Entry, Settled


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A call was on its way when the process that carried it died."""

    entry: Entry


class ReadResult(StrEnum):
    """How a status read ended: the values of a metric's label."""

    ANSWERED = "answered"
    UNANSWERED = "unanswered"
    NOT_SENT = "not_sent"


@dataclass(frozen=True, slots=True)
class StatusRead:
    """Localpayment was asked what became of a call."""

    result: ReadResult


@dataclass(frozen=True, slots=True)
class CallSettled:
    """It was found out what became of a call; `word` is the business status, if one was told."""

    entry: Entry
    settled: Settled
    word: str


@dataclass(frozen=True, slots=True)
class Repeated:
    """A call repeats an earlier one; `same_body` is None when that cannot be told."""

    request_id: str
    operation: str
    earlier: str
    same_body: bool | None
    refused: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A commit took so many seconds; `fault` is empty when it went well."""

    seconds: float
    fault: str


@dataclass(frozen=True, slots=True)
class WentOn:
    """A call was sent although its intent could not be written, as PROXY_LEDGER_ON_FAILURE=continue wants it."""

    request_id: str
    operation: str


@dataclass(frozen=True, slots=True)
class SetAside:
    """A damaged file was moved out of the way, and a new ledger begun."""

    path: Path


@dataclass(frozen=True, slots=True)
class Pruned:
    """So many entries were older than PROXY_LEDGER_KEEP, and were removed."""

    entries: int


Report = Interrupted | StatusRead | CallSettled | Repeated | Written | WentOn | SetAside | Pruned
