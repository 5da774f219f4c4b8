"""Turns the names in a policy (operation, kind or preset) into the operations they stand for.

Pure. What is not known to be needed is in no preset, and no kind or preset ever holds the release by date range,
or `other`: both must be named.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from proxy.api.operations import NAMES, OPERATIONS, OTHER, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

AUTHORIZE: Final = "authorize_payouts"
# `dateFrom` and `dateTo` in its body release every eligible payout in the range. Judged like an operation of its own.
BY_DATE: Final = f"{AUTHORIZE}:by_date"
EVERYTHING: Final = NAMES | {OTHER.name}


def _of_kind(kind: Kind) -> frozenset[str]:
    return frozenset(operation.name for operation in OPERATIONS if operation.kind is kind)


KINDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType({kind.value: _of_kind(kind) for kind in Kind})
PRESETS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        # Looks, and changes nothing.
        "read_only": KINDS["read"],
        # Brings money in, and looks after its payers. It sends none out: no refunds.
        "collect": KINDS["read"] | KINDS["quote"] | KINDS["money_in"] | {
            "cancel_transaction", "tokenize_card", "cancel_subscription", "create_plan", "update_plan",
            "submit_chargeback_documents", "create_virtual_account", "create_virtual_account_batch",
            "set_virtual_account_activation", "delete_virtual_account", "create_alias", "confirm_alias",
        },
        # Pays beneficiaries, payout by payout. It neither refunds nor wires out nor exchanges.
        "payout": KINDS["read"] | KINDS["quote"] | {"create_payout", AUTHORIZE, "cancel_payout"},
    }
)  # fmt: skip
_GRANTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        **{name: frozenset((name,)) for name in EVERYTHING},
        **KINDS,
        **PRESETS,
        BY_DATE: frozenset((AUTHORIZE, BY_DATE)),
    }
)
GRANT_NAMES: Final = frozenset(_GRANTS)


def allowed_by(names: Iterable[str]) -> frozenset[str]:
    """Return the operations that some of GRANT_NAMES allow together; BY_DATE is among them only if it is named."""
    return frozenset().union(*(_GRANTS[name] for name in names))


def denied_by(names: Iterable[str]) -> frozenset[str]:
    """Return the operations that some of GRANT_NAMES deny together: never less than what they would allow.

    An operation takes its release by date with it, the kind `state` takes `other`; BY_DATE leaves releases by id.
    """
    names = frozenset(names)
    denied = allowed_by(names - {BY_DATE})
    if AUTHORIZE in denied or BY_DATE in names:
        denied |= {BY_DATE}
    return denied | {OTHER.name} if OTHER.kind in names else denied
