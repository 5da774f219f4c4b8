"""Does this call of `authorize_payouts` release payouts by their ids, or every eligible one in a range of dates?

Pure. In doubt it is by date, since that is what releases too much: only a body that every reader takes for the same
plain JSON, that speaks of no date and names something by id, is a release by id.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A form or a multipart body that is JSON as well would be read otherwise, and so would another charset.
_PLAIN_JSON: Final = re.compile(rb'application/json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE).fullmatch
# `dateFrom`, `date_to`, `startDate`, and a mandate too; but not what was updated.
_DATE: Final = re.compile(r"(?<!up)date", re.IGNORECASE).search
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+").findall
_ID_WORDS: Final = frozenset(("id", "ids"))


class _Object(NamedTuple):
    """A JSON object with every one of its members, repeated names included: which of them counts is the reader's."""

    members: list[tuple[str, Any]]


def releases_by_date(headers: Iterable[tuple[bytes, bytes]], query: bytes, body: bytes | None) -> bool:
    """Whether a call of `authorize_payouts` may release by date range.

    Args:
        headers: raw fields of the request.
        query: what follows `?` in the target, raw.
        body: the whole body; None when it is not held.
    """
    if body is None or b"date" in _decoded(query) or not _is_plain_json(headers):
        return True
    try:
        document = json.loads(body.decode(), object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        return True
    members = list(_members(document))
    return any(_DATE(name) for name, _ in members) or not any(_names_an_id(*member) for member in members)


def _decoded(query: bytes) -> bytes:
    return unquote_to_bytes(unquote_to_bytes(query)).lower()


def _is_plain_json(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    fields = [(name.lower().replace(b"_", b"-"), value) for name, value in headers]
    types = [value for name, value in fields if name == b"content-type"]
    encoded = any(name == b"content-encoding" for name, _ in fields)
    return len(types) == 1 and _PLAIN_JSON(types[0].strip(b" \t")) is not None and not encoded


def _members(document: object) -> Iterator[tuple[str, object]]:
    waiting = [document]
    for part in waiting:
        if isinstance(part, _Object):
            yield from part.members
            waiting.extend(value for _, value in part.members)
        elif isinstance(part, list):
            waiting.extend(part)


def _names_an_id(name: str, value: object) -> bool:
    return bool(value) and not _ID_WORDS.isdisjoint(word.lower() for word in _WORDS(name))
