"""Reads the merchant's own id of a payment from a call's path or body, and names the read that tells what became of it.

Pure. The id names a payment, so it goes nowhere but into a keyed hash, or into the answer to the call itself. It must
never name a read that may know nothing of the call: a wrong "not found" invites a second payment.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from proxy.api.operations import Kind
from proxy.api.target import read_target
from proxy.errors import RelayError

if TYPE_CHECKING:
    from proxy.api.operations import Match

_FIELD: Final = "externalId"
# JSON can write half of a surrogate pair, which no UTF-8 can hold: no path, no ledger, no answer of Localpayment's.
_HALF_PAIR: Final = re.compile("[\ud800-\udfff]").search
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
    return value if isinstance(value, str) and value and not _HALF_PAIR(value) else None


def check_path_of(match: Match, body: bytes | None) -> str | None:
    """Return the path to GET for the fate of a call whose outcome is unknown, or None when no read is known to tell it.

    Args:
        match: what the call means.
        body: its whole body if it is held, to look for the id there; None looks at the path only.
    """
    template = match.operation.check
    if template is None:
        return None
    if match.external_id is not None:
        return template.replace("{externalId}", match.external_id)
    found = external_id(match, body)
    return None if found is None else _readable(template.replace("{externalId}", quote(found, safe="")))


def _readable(path: str) -> str | None:
    """Return the path if the sidecar would relay it as a read; an id such as `..` makes another path of it."""
    try:
        kind = read_target(path.encode("ascii"), "GET").operation.kind
    except RelayError:
        return None
    return path if kind is Kind.READ else None
