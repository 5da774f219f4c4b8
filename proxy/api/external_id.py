"""Reads the merchant's own id of a payment from a call's path or body, and names the read that tells what became of it.

Pure. The id names a payment, so it goes nowhere but into a keyed hash, or into the answer to the call itself. It must
never name a read that may know nothing of the call: a wrong "not found" invites a second payment.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from proxy.api.operations import Kind
from proxy.api.target import read_target
from proxy.errors import RelayError

if TYPE_CHECKING:
    from proxy.api.operations import Match

_FIELD: Final = "externalId"
# Bytes. Reading 64 KiB of JSON takes half a millisecond; only batches are larger, and they hold many ids.
LARGEST: Final = 64 * 1024
LONGEST: Final = 512  # characters of an id; an index of PostgreSQL holds 2,700 bytes


def external_id(match: Match, body: bytes | None) -> str | None:
    """Return the id in clear, or None when there is none, or none that can be read without effort.

    Args:
        match: what the target means; an id in the path is there percent-encoded.
        body: the request's whole body; None when there is none, or it is not held.
    """
    if match.external_id is not None:
        return _usable(unquote(match.external_id))
    if match.operation.duplicate_key != "body" or body is None or len(body) > LARGEST:
        return None
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        return None
    value = members.get(_FIELD) if isinstance(members, dict) else None
    return _usable(value) if isinstance(value, str) else None


def _usable(value: str) -> str | None:
    """Return an id that every database and every path can hold: JSON may have half a character, or a NUL."""
    if not 0 < len(value) <= LONGEST or "\0" in value:
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


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
