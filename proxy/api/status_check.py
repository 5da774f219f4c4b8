"""Names the read that tells what became of a call whose outcome is unknown.

Pure. It must never name a read that may know nothing of the call: a wrong "not found" invites a second payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from proxy.api.external_id import external_id
from proxy.api.operations import Kind, check_path
from proxy.api.target import read_target
from proxy.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.api.operations import Match

# For ids in the body; only operations whose result Localpayment's documentation lets one read by the merchant's id.
_BY_ID_IN_BODY: Final[Mapping[str, str]] = {
    "create_payin": "/api/transactions/{}/status",
    "create_payout": "/api/transactions/{}/status",
    "create_subscription": "/api/subscriptions/{}",
    "create_virtual_account": "/api/virtual-account/{}",
    "create_virtual_account_batch": "/api/virtual-account-batch/{}",
}


def check_path_of(match: Match, body: bytes | None) -> str | None:
    """Return the path to GET, or None when no read is known to settle the call.

    Args:
        match: what the call means.
        body: its whole body if it is held, to look for the id there; None looks at the path only.
    """
    found = check_path(match)
    template = _BY_ID_IN_BODY.get(match.operation.name)
    if found is not None or template is None:
        return found
    name = external_id(match, body)
    return None if name is None else _readable(template.format(quote(name, safe="")))


def _readable(path: str) -> str | None:
    """Return the path if the sidecar would relay it as a read; an id such as `..` makes another path of it."""
    try:
        kind = read_target(path.encode("ascii"), "GET").operation.kind
    except RelayError:
        return None
    return path if kind is Kind.READ else None
