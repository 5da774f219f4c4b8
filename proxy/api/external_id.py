"""Reads the merchant's own id of a payment from a call's path or body.

Pure. The id names a payment, so it goes nowhere but into a keyed hash.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from proxy.api.operations import Match

_FIELD: Final = "externalId"
# Bytes. Reading 64 KiB of JSON takes half a millisecond; only batches are larger, and they hold many ids.
LARGEST: Final = 64 * 1024


def external_id(match: Match, body: bytes | None) -> str | None:
    """Return the id in clear, or None when there is none, or none that can be read without effort.

    Args:
        match: what the target means; an id in the path is there percent-encoded.
        body: the request's whole body; None when there is none, or it is not held.
    """
    if match.external_id is not None:
        return unquote(match.external_id)
    if match.operation.duplicate_key != "body" or body is None or len(body) > LARGEST:
        return None
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = members.get(_FIELD) if isinstance(members, dict) else None
    return value if isinstance(value, str) and value else None
