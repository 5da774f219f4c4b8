"""Reads the body and query of a call into plain values, once, so that no operation parses.

It keeps and prints none of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING

from proxy.simulator.answer import RefusalError, detailed, invalid, rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

# LOCALPAYMENT: lists count from page 1, 10 to a page, 50 at most.
PAGE_SIZE = 10
PAGE_SIZE_LIMIT = 50
# No real payment comes near it; keeps arithmetic exact in Decimal's default 28 digits.
AMOUNT_LIMIT = Decimal(10) ** 12
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Call:
    """One call, after its token was accepted. `fields` is the body's JSON object, empty without a body."""

    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    fields: Mapping[str, object] = field(default_factory=dict, repr=False)
    multipart: bool = False
    hold: bool = False
    now: float = 0.0

    @property
    def external_id(self) -> str | None:
        """The merchant's id of what the call concerns: in the path, else in the body, else None."""
        found = self.parameters.get("externalId", self.fields.get("externalId"))
        return found if isinstance(found, str) and found else None

    def text(self, name: str, default: str | None = None) -> str:
        """A non-empty text of the body; without a default it is required."""
        value = self.fields.get(name, default)
        if not isinstance(value, str) or not value.strip():
            raise invalid(**{name: "This field is required and must be a non-empty text."})
        return value

    def amount(self, default: Decimal | None = None) -> Decimal:
        """The `amount` of the body, positive, in units with two decimals."""
        value = self.fields.get("amount", default)
        try:
            amount = Decimal(str(value)) if value is not None and not isinstance(value, bool) else Decimal(0)
        except InvalidOperation:
            amount = Decimal(0)
        if not (amount.is_finite() and CENT <= amount <= AMOUNT_LIMIT):
            raise rejected(719, "Amount must not be empty and more than 0", externalId=self.external_id)
        return amount.quantize(CENT)

    def mapping(self, name: str) -> Mapping[str, object]:
        """An object of the body; empty when it is not there."""
        value = self.fields.get(name)
        return value if isinstance(value, dict) else {}

    def period(self) -> tuple[float, float]:
        """The required `since` and `until` of a list, as seconds since the epoch."""
        since, until = moment(self.query.get("since")), moment(self.query.get("until"), end=True)
        if since is None or until is None:
            wanted = "This parameter is required, as an ISO 8601 date or date and time."
            raise invalid(**{name: wanted for name, found in (("since", since), ("until", until)) if found is None})
        return since, until

    def page(self) -> tuple[int, int]:
        """The `page`, from 1, and `size` of a list."""
        number, size = count(self.query.get("page", "1")), count(self.query.get("size", str(PAGE_SIZE)))
        if number < 1:
            raise invalid(page="Pages are counted from 1.")
        if not 1 <= size <= PAGE_SIZE_LIMIT:
            raise invalid(size=f"Between 1 and {PAGE_SIZE_LIMIT}.")
        return number, size


def count(text: str) -> int:
    """A whole number, or -1 for what is none; longer numbers are no page."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len("999999") else -1


def moment(text: str | None, *, end: bool = False) -> float | None:
    """An ISO 8601 date or date and time, UTC unless it says otherwise, as seconds since the epoch.

    A bare date is its beginning, or with `end` its end, so that a period covers the whole day.
    """
    try:
        read = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    seconds = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    return seconds + 86400.0 if end and len(text or "") == len("2026-01-31") else seconds


def timestamp(seconds: float) -> str:
    """Seconds since the epoch as the API writes them."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(seconds))).strftime("%Y-%m-%dT%H:%M:%SZ")


def fields_of(body: bytes, content_type: str) -> dict[str, object]:
    """The JSON object in a body, or in the part `request` of a multipart body.

    Raises:
        RefusalError: the body is neither empty nor a JSON object.
    """
    if is_multipart(content_type):
        head = b"Content-Type: " + content_type.encode("utf-8", "replace") + b"\r\n\r\n"
        parts = BytesParser(policy=HTTP).parsebytes(head + body).iter_parts()
        named = {part.get_param("name", header="content-disposition"): part for part in parts}
        part = named.get("request")
        body = bytes(part.get_payload(decode=True) or b"") if part is not None else b""
    read = parsed(body) if body.strip() else {}
    if not isinstance(read, dict):
        raise invalid(body=f"Invalid data. Expected a dictionary, but got {type(read).__name__}.")
    return read


def parsed(body: bytes) -> object:
    """A body's JSON.

    Raises:
        RefusalError: it is none, or has half of a surrogate pair, which no answer could repeat.
    """
    try:
        read = json.loads(body)
        json.dumps(read, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        # The decoder's message holds a position, never a piece of the text.
        text = str(error) if isinstance(error, json.JSONDecodeError) else "not readable"
        raise RefusalError(detailed(400, f"JSON parse error - {text}")) from error
    return read


def is_multipart(content_type: str) -> bool:
    """Whether the body is a form with files."""
    return content_type.lower().startswith("multipart/form-data")
