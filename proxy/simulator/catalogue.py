"""Maps methods and paths to the functions that answer them.

It shares nothing with the sidecar's own catalogue: an error in either shows as a difference between the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

from proxy.simulator.operations import lookups, payins, payouts, subscriptions, virtual_accounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from proxy.simulator.answer import Answer
    from proxy.simulator.call import Call
    from proxy.simulator.ledger import Ledger

View = Callable[["Ledger", "Call"], "Answer"]


@dataclass(frozen=True)
class Operation:
    """One line of the catalogue. A path ends with or without a slash: the documentation prints both."""

    name: str
    methods: tuple[str, ...]
    path: str
    view: View

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The path with its parameters as named groups; `{switch}` alone has a closed set of values."""
        text = self.path.replace("{switch}", "(?P<switch>enable|disable)")
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text) + "/?")


def _operation(name: str, methods: str, path: str, view: View) -> Operation:
    return Operation(name, tuple(methods.split()), path, view)


CATALOGUE = (
    _operation("validate_document", "POST", "/api/validation/document", lookups.validate_document),
    _operation("validate_bank_account", "POST", "/api/validation/bank", lookups.validate_bank_account),
    _operation("lookup_bin", "GET", "/api/resources/bin-validation", lookups.lookup_bin),
    _operation("list_payment_methods", "GET", "/api/resources/payment-methods", lookups.list_payment_methods),
    _operation("list_holidays", "GET", "/api/resources/holidays", lookups.list_holidays),
    _operation("list_banks", "GET", "/api/resources/banks", lookups.list_banks),
    _operation("quote_exchange", "GET", "/api/fx/currency-exchange/{type}", lookups.quote_exchange),
    _operation("quote_installments", "POST", "/api/installments-plans", lookups.quote_installments),
    _operation("create_payin", "POST", "/api/payin", payins.create_payin),
    _operation("capture_payin", "PATCH", "/api/payin/capture/{externalId}", payins.capture_payin),
    _operation("refund_payin", "PATCH", "/api/payin/{externalId}/refund", payins.refund_payin),
    _operation("cancel_transaction", "PATCH", "/api/transactions/{externalId}/status", payins.cancel_transaction),
    _operation("tokenize_card", "POST", "/api/card", lookups.tokenize_card),
    _operation("create_subscription", "POST", "/api/payin/subscriptions", subscriptions.create_subscription),
    _operation(
        "update_subscription", "PATCH POST", "/api/payin/subscriptions/{externalId}", subscriptions.update_subscription
    ),
    _operation(
        "cancel_subscription",
        "PATCH",
        "/api/payin/subscriptions/{externalId}/status",
        subscriptions.cancel_subscription,
    ),
    _operation("get_subscription", "GET", "/api/subscriptions/{externalId}", subscriptions.get_subscription),
    _operation("create_plan", "POST", "/api/subscriptions/plan", subscriptions.create_plan),
    _operation("list_plans", "GET", "/api/subscriptions/plan", subscriptions.list_plans),
    _operation("get_plan", "GET", "/api/subscriptions/plan/{id}", subscriptions.get_plan),
    _operation("update_plan", "PATCH", "/api/subscriptions/plan/{id}", subscriptions.update_plan),
    _operation(
        "submit_chargeback_documents",
        "POST",
        "/api/chargeback/documentation/{externalId}",
        lookups.submit_chargeback_documents,
    ),
    _operation("create_virtual_account", "POST", "/api/virtual-account", virtual_accounts.create_virtual_account),
    _operation(
        "create_virtual_account_batch",
        "POST",
        "/api/virtual-account-batch",
        virtual_accounts.create_virtual_account_batch,
    ),
    _operation(
        "get_virtual_account_batch",
        "GET",
        "/api/virtual-account-batch/{externalId}",
        virtual_accounts.get_virtual_account_batch,
    ),
    _operation("get_virtual_account", "GET", "/api/virtual-account/{externalId}", virtual_accounts.get_virtual_account),
    _operation(
        "set_virtual_account_activation",
        "PUT",
        "/api/virtual-account/{externalId}/activation/{switch}",
        virtual_accounts.set_virtual_account_activation,
    ),
    _operation(
        "delete_virtual_account", "DELETE", "/api/virtual-account/{externalId}", virtual_accounts.delete_virtual_account
    ),
    _operation("create_alias", "POST", "/api/virtual-account/{externalId}/alias", virtual_accounts.create_alias),
    _operation(
        "confirm_alias", "POST", "/api/virtual-account/{externalId}/alias/confirm", virtual_accounts.confirm_alias
    ),
    _operation("create_payout", "POST", "/api/payout", payouts.create_payout),
    _operation("authorize_payouts", "POST", "/api/payout/authorize", payouts.authorize_payouts),
    _operation("cancel_payout", "PATCH", "/api/payout/cancel", payouts.cancel_payout),
    _operation("create_billing_order", "POST", "/api/billing", payouts.create_billing_order),
    _operation("transfer_internally", "POST", "/api/internal-transfer", payouts.transfer_internally),
    # The documentation prints both paths.
    _operation("exchange_currency", "POST", "/api/currency-exchange", payouts.exchange_currency),
    _operation("exchange_currency", "POST", "/currency-exchange", payouts.exchange_currency),
    _operation("notify_wire_in", "POST", "/api/account/wire-in", payouts.notify_wire_in),
    _operation("wire_out", "POST", "/api/account/wire-out", payouts.wire_out),
    _operation("get_transaction", "GET", "/api/transactions/{externalId}", payins.get_transaction),
    _operation("get_transaction_status", "GET", "/api/transactions/{id}/status", payins.get_transaction_status),
    _operation("list_transactions", "GET", "/api/transactions/list/filter", payins.list_transactions),
    _operation("get_balance", "GET", "/api/accounts/{accountNumber}/balance", payins.get_balance),
    _operation("get_activity", "GET", "/api/accounts/{accountNumber}/activity", payins.get_activity),
    _operation("get_ticket_image", "GET", "/api/images/{code}/{barcode}", lookups.get_ticket_image),
)
NAMES = frozenset(operation.name for operation in CATALOGUE)


@dataclass(frozen=True, slots=True)
class Match:
    """What a path means: an operation with its decoded parameters, or only the methods that would be one."""

    operation: Operation | None
    parameters: Mapping[str, str]
    allowed: tuple[str, ...]


def match(method: str, path: str) -> Match | None:
    """Find what a raw path, without query, means for a method; None if it means nothing at all."""
    found = [(operation, hit) for operation in _BY_PRECISION if (hit := operation.pattern.fullmatch(path))]
    if not found:
        return None
    for operation, hit in found:
        if method in operation.methods:
            # Decoded after the split: a card token's `%2F` is no separator.
            return Match(operation, {name: unquote(value) for name, value in hit.groupdict().items()}, ())
    return Match(None, {}, _methods(operation for operation, _ in found))


def _methods(operations: Iterable[Operation]) -> tuple[str, ...]:
    return tuple(sorted({method for operation in operations for method in operation.methods}))


def _wildcards(operation: Operation) -> list[bool]:
    return [segment.startswith("{") for segment in operation.path.split("/")]


# Literal segments first: `/api/subscriptions/plan` is a list of plans, not the subscription called plan.
_BY_PRECISION = sorted(CATALOGUE, key=_wildcards)
