"""Lists the operations of Localpayment's API, one row each, as its public documentation prints them.

It decides nothing, and no row may be guessed: whatever is not listed here is taken for a call with effects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

DuplicateKey = Literal["body", "path", "part"]

# The reads that settle what became of a call. Only for ids that the read is documented to know.
_TRANSACTION: Final = "/api/transactions/{externalId}/status"
_SUBSCRIPTION: Final = "/api/subscriptions/{externalId}"
_PLAN: Final = "/api/subscriptions/plan/{externalId}"
_ACCOUNT: Final = "/api/virtual-account/{externalId}"
_BATCH: Final = "/api/virtual-account-batch/{externalId}"


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


def _row(  # noqa: PLR0913, PLR0917 - a row of the table below
    name: str, methods: str, paths: str, kind: str, duplicate_key: DuplicateKey | None = None, check: str | None = None
) -> Operation:
    return Operation(name, tuple(methods.split()), tuple(paths.split()), Kind(kind), duplicate_key, check)


OPERATIONS: Final = (
    _row("validate_document", "POST", "/api/validation/document", "read"),
    _row("validate_bank_account", "POST", "/api/validation/bank", "read"),
    _row("lookup_bin", "GET", "/api/resources/bin-validation", "read"),
    _row("list_payment_methods", "GET", "/api/resources/payment-methods", "read"),
    _row("list_holidays", "GET", "/api/resources/holidays", "read"),
    _row("list_banks", "GET", "/api/resources/banks", "read"),
    _row("quote_exchange", "GET", "/api/fx/currency-exchange/{type}", "quote"),
    _row("quote_installments", "POST", "/api/installments-plans", "quote"),
    _row("create_payin", "POST", "/api/payin", "money_in", "body", _TRANSACTION),
    _row("capture_payin", "PATCH", "/api/payin/capture/{externalId}", "money_in", "path", _TRANSACTION),
    _row("refund_payin", "PATCH", "/api/payin/{externalId}/refund", "money_out", "path", _TRANSACTION),
    _row("cancel_transaction", "PATCH", "/api/transactions/{externalId}/status", "state", "path", _TRANSACTION),
    _row("tokenize_card", "POST", "/api/card", "state"),
    _row("create_subscription", "POST", "/api/payin/subscriptions", "money_in", "body", _SUBSCRIPTION),
    _row(
        "update_subscription", "PATCH POST", "/api/payin/subscriptions/{externalId}", "money_in", "path", _SUBSCRIPTION
    ),
    _row(
        "cancel_subscription", "PATCH", "/api/payin/subscriptions/{externalId}/status", "state", "path", _SUBSCRIPTION
    ),
    _row("get_subscription", "GET", "/api/subscriptions/{externalId}", "read", None, _SUBSCRIPTION),
    _row("create_plan", "POST", "/api/subscriptions/plan", "state"),
    _row("list_plans", "GET", "/api/subscriptions/plan", "read"),
    _row("get_plan", "GET", "/api/subscriptions/plan/{id}", "read", None, _PLAN),
    _row("update_plan", "PATCH", "/api/subscriptions/plan/{id}", "state", "path", _PLAN),
    _row("submit_chargeback_documents", "POST", "/api/chargeback/documentation/{externalId}", "state", "path"),
    _row("create_virtual_account", "POST", "/api/virtual-account", "state", "body", _ACCOUNT),
    _row("create_virtual_account_batch", "POST", "/api/virtual-account-batch", "state", "body", _BATCH),
    _row("get_virtual_account_batch", "GET", "/api/virtual-account-batch/{externalId}", "read"),
    _row("get_virtual_account", "GET", "/api/virtual-account/{externalId}", "read", None, _ACCOUNT),
    _row(
        "set_virtual_account_activation",
        "PUT",
        "/api/virtual-account/{externalId}/activation/enable /api/virtual-account/{externalId}/activation/disable",
        "state",
        "path",
        _ACCOUNT,
    ),
    _row("delete_virtual_account", "DELETE", "/api/virtual-account/{externalId}", "state", "path", _ACCOUNT),
    # No documented read shows an alias, so nothing settles these two.
    _row("create_alias", "POST", "/api/virtual-account/{externalId}/alias", "state"),
    _row("confirm_alias", "POST", "/api/virtual-account/{externalId}/alias/confirm", "state"),
    _row("create_payout", "POST", "/api/payout", "money_out", "body", _TRANSACTION),
    _row("authorize_payouts", "POST", "/api/payout/authorize", "money_out"),
    _row("cancel_payout", "PATCH", "/api/payout/cancel", "state", "body"),
    _row("create_billing_order", "POST", "/api/billing", "money_in", "body"),
    _row("transfer_internally", "POST", "/api/internal-transfer", "money_internal", "body"),
    # The documentation prints both paths.
    _row("exchange_currency", "POST", "/currency-exchange /api/currency-exchange", "money_internal", "body"),
    _row("notify_wire_in", "POST", "/api/account/wire-in", "state", "part"),
    _row("wire_out", "POST", "/api/account/wire-out", "money_out", "body"),
    _row("get_transaction", "GET", "/api/transactions/{externalId}", "read", None, _TRANSACTION),
    _row("get_transaction_status", "GET", "/api/transactions/{id}/status", "read", None, _TRANSACTION),
    _row("list_transactions", "GET", "/api/transactions/list/filter", "read"),
    _row("get_balance", "GET", "/api/accounts/{accountNumber}/balance", "read"),
    _row("get_activity", "GET", "/api/accounts/{accountNumber}/activity", "read"),
    _row("get_ticket_image", "GET", "/api/images/{code}/{barcode}", "read"),
)
NAMES: Final = frozenset(operation.name for operation in OPERATIONS)
# A GET is not always free of effects, and nothing is known of this one.
OTHER: Final = Operation("other", (), (), Kind.STATE)
NAMED: Final = {operation.name: operation for operation in (*OPERATIONS, OTHER)}
