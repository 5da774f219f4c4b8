"""Lists the operations of Localpayment's API, one row each, as its public documentation prints them.

It decides nothing, and no row may be guessed: whatever is not listed here is taken for a call with effects.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

DuplicateKey = Literal["body", "path", "part"]

# The reads that settle what became of a call. Only for ids that the read is documented to know.
_TRANSACTION: Final = "/api/transactions/{externalId}/status"
_SUBSCRIPTION: Final = "/api/subscriptions/{externalId}"
_PLAN: Final = "/api/subscriptions/plan/{externalId}"
_ACCOUNT: Final = "/api/virtual-account/{externalId}"
_BATCH: Final = "/api/virtual-account-batch/{externalId}"


class Row(NamedTuple):
    """One operation.

    name: how policies, metrics and logs call it.
    methods: separated by spaces; HEAD goes with GET.
    paths: separated by spaces, parameters in braces; each is also meant with a slash at its end.
    kind: a value of `operations.Kind`.
    duplicate_key: where the merchant's externalId sits, by which Localpayment refuses a repeat; None without one.
    check: path of the GET that settles an unknown outcome; None where none is documented to know the call's id.
    """

    name: str
    methods: str
    paths: str
    kind: str
    duplicate_key: DuplicateKey | None = None
    check: str | None = None


ROWS: Final = (
    Row("validate_document", "POST", "/api/validation/document", "read"),
    Row("validate_bank_account", "POST", "/api/validation/bank", "read"),
    Row("lookup_bin", "GET", "/api/resources/bin-validation", "read"),
    Row("list_payment_methods", "GET", "/api/resources/payment-methods", "read"),
    Row("list_holidays", "GET", "/api/resources/holidays", "read"),
    Row("list_banks", "GET", "/api/resources/banks", "read"),
    Row("quote_exchange", "GET", "/api/fx/currency-exchange/{type}", "quote"),
    Row("quote_installments", "POST", "/api/installments-plans", "quote"),
    Row("create_payin", "POST", "/api/payin", "money_in", "body", _TRANSACTION),
    Row("capture_payin", "PATCH", "/api/payin/capture/{externalId}", "money_in", "path", _TRANSACTION),
    Row("refund_payin", "PATCH", "/api/payin/{externalId}/refund", "money_out", "path", _TRANSACTION),
    Row("cancel_transaction", "PATCH", "/api/transactions/{externalId}/status", "state", "path", _TRANSACTION),
    Row("tokenize_card", "POST", "/api/card", "state"),
    Row("create_subscription", "POST", "/api/payin/subscriptions", "money_in", "body", _SUBSCRIPTION),
    Row(
        "update_subscription", "PATCH POST", "/api/payin/subscriptions/{externalId}", "money_in", "path", _SUBSCRIPTION
    ),
    Row("cancel_subscription", "PATCH", "/api/payin/subscriptions/{externalId}/status", "state", "path", _SUBSCRIPTION),
    Row("get_subscription", "GET", "/api/subscriptions/{externalId}", "read", None, _SUBSCRIPTION),
    Row("create_plan", "POST", "/api/subscriptions/plan", "state"),
    Row("list_plans", "GET", "/api/subscriptions/plan", "read"),
    Row("get_plan", "GET", "/api/subscriptions/plan/{id}", "read", None, _PLAN),
    Row("update_plan", "PATCH", "/api/subscriptions/plan/{id}", "state", "path", _PLAN),
    Row("submit_chargeback_documents", "POST", "/api/chargeback/documentation/{externalId}", "state", "path"),
    Row("create_virtual_account", "POST", "/api/virtual-account", "state", "body", _ACCOUNT),
    Row("create_virtual_account_batch", "POST", "/api/virtual-account-batch", "state", "body", _BATCH),
    Row("get_virtual_account_batch", "GET", "/api/virtual-account-batch/{externalId}", "read"),
    Row("get_virtual_account", "GET", "/api/virtual-account/{externalId}", "read", None, _ACCOUNT),
    Row(
        "set_virtual_account_activation",
        "PUT",
        "/api/virtual-account/{externalId}/activation/enable /api/virtual-account/{externalId}/activation/disable",
        "state",
        "path",
        _ACCOUNT,
    ),
    Row("delete_virtual_account", "DELETE", "/api/virtual-account/{externalId}", "state", "path", _ACCOUNT),
    # No documented read shows an alias, so nothing settles these two.
    Row("create_alias", "POST", "/api/virtual-account/{externalId}/alias", "state"),
    Row("confirm_alias", "POST", "/api/virtual-account/{externalId}/alias/confirm", "state"),
    Row("create_payout", "POST", "/api/payout", "money_out", "body", _TRANSACTION),
    Row("authorize_payouts", "POST", "/api/payout/authorize", "money_out"),
    Row("cancel_payout", "PATCH", "/api/payout/cancel", "state", "body"),
    Row("create_billing_order", "POST", "/api/billing", "money_in", "body"),
    Row("transfer_internally", "POST", "/api/internal-transfer", "money_internal", "body"),
    # The documentation prints both paths.
    Row("exchange_currency", "POST", "/currency-exchange /api/currency-exchange", "money_internal", "body"),
    Row("notify_wire_in", "POST", "/api/account/wire-in", "state", "part"),
    Row("wire_out", "POST", "/api/account/wire-out", "money_out", "body"),
    Row("get_transaction", "GET", "/api/transactions/{externalId}", "read", None, _TRANSACTION),
    Row("get_transaction_status", "GET", "/api/transactions/{id}/status", "read", None, _TRANSACTION),
    Row("list_transactions", "GET", "/api/transactions/list/filter", "read"),
    Row("get_balance", "GET", "/api/accounts/{accountNumber}/balance", "read"),
    Row("get_activity", "GET", "/api/accounts/{accountNumber}/activity", "read"),
    Row("get_ticket_image", "GET", "/api/images/{code}/{barcode}", "read"),
)
