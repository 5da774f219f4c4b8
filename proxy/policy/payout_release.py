"""Tells whether a call of `authorize_payouts` releases payouts by their ids alone, or may release a range of dates.

Pure. Only a body that every reader takes for the same plain JSON, and that has one documented member which names
payouts, is a release by id. Whatever else it is counts as a release by date, since that is what releases too much.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# A form or a multipart body that is JSON as well would be read otherwise, and so would another charset.
_PLAIN_JSON: Final = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE).fullmatch
# Localpayment's guide "Approvals & Double Signature" has a text in one of these, and dates as the other way.
_NAMES_ONE: Final = frozenset(("externalId", "internalId"))
_NAMES_SEVERAL: Final = "externalIds"  # not in the guide; a list of what `externalId` holds can name nothing else
# No sign that anything takes for a wildcard, a separator or a blank.
_ID: Final = re.compile(r"[^\W_][\w.:/+=@#~|-]{0,127}").fullmatch


class _Object(NamedTuple):
    """A JSON object with every one of its members, repeated names included: readers differ in which counts."""

    members: list[tuple[str, object]]


def releases_by_date(headers: Iterable[tuple[bytes, bytes]], query: bytes, body: bytes | None) -> bool:
    """Whether a call of `authorize_payouts` may release by date range.

    Args:
        headers: raw fields of the request.
        query: what follows `?` in the target, raw.
        body: the whole body; None when it is not held.
    """
    if body is None or query or not _is_plain_json(headers):
        return True
    try:
        document = json.loads(body.decode(), object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        return True
    return not (isinstance(document, _Object) and len(document.members) == 1 and _names_payouts(*document.members[0]))


def _is_plain_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    fields = [(name.lower().replace(b"_", b"-"), value) for name, value in headers]
    types = [value for name, value in fields if name == b"content-type"]
    encoded = any(name == b"content-encoding" for name, _ in fields)
    return len(types) == 1 and _PLAIN_JSON(types[0].strip(b" \t")) is not None and not encoded


def _names_payouts(name: str, value: object) -> bool:
    if name == _NAMES_SEVERAL:
        return isinstance(value, list) and bool(value) and all(map(_is_id, value))
    return name in _NAMES_ONE and _is_id(value)


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _ID(value) is not None
