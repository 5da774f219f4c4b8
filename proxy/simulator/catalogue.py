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

from proxy.simulator.operations import lookups, payins, payouts, records

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def _operation(methods: str, path: str, view: View) -> Operation:
    return Operation(view.__name__, tuple(methods.split()), path, view)


CATALOGUE = (
    _operation("POST", "/api/validation/document", lookups.validate_document),
    _operation("POST", "/api/validation/bank", lookups.validate_bank_account),
    _operation("GET", "/api/resources/bin-validation", lookups.lookup_bin),
    _operation("GET", "/api/resources/payment-methods", lookups.list_payment_methods),
    _operation("GET", "/api/resources/holidays", lookups.list_holidays),
    _operation("GET", "/api/resources/banks", lookups.list_banks),
    _operation("GET", "/api/fx/currency-exchange/{type}", lookups.quote_exchange),
    _operation("POST", "/api/installments-plans", lookups.quote_installments),
    _operation("POST", "/api/payin", payins.create_payin),
    _operation("PATCH", "/api/payin/capture/{externalId}", payins.capture_payin),
    _operation("PATCH", "/api/payin/{externalId}/refund", payins.refund_payin),
    _operation("PATCH", "/api/transactions/{externalId}/status", payins.cancel_transaction),
    _operation("POST", "/api/card", lookups.tokenize_card),
    _operation("POST", "/api/payin/subscriptions", records.create_subscription),
    _operation("PATCH POST", "/api/payin/subscriptions/{externalId}", records.update_subscription),
    _operation("PATCH", "/api/payin/subscriptions/{externalId}/status", records.cancel_subscription),
    _operation("GET", "/api/subscriptions/{externalId}", records.get_subscription),
    _operation("POST", "/api/subscriptions/plan", records.create_plan),
    _operation("GET", "/api/subscriptions/plan", records.list_plans),
    _operation("GET", "/api/subscriptions/plan/{id}", records.get_plan),
    _operation("PATCH", "/api/subscriptions/plan/{id}", records.update_plan),
    _operation("POST", "/api/chargeback/documentation/{externalId}", lookups.submit_chargeback_documents),
    _operation("POST", "/api/virtual-account", records.create_virtual_account),
    _operation("POST", "/api/virtual-account-batch", records.create_virtual_account_batch),
    _operation("GET", "/api/virtual-account-batch/{externalId}", records.get_virtual_account_batch),
    _operation("GET", "/api/virtual-account/{externalId}", records.get_virtual_account),
    _operation("PUT", "/api/virtual-account/{externalId}/activation/{switch}", records.set_virtual_account_activation),
    _operation("DELETE", "/api/virtual-account/{externalId}", records.delete_virtual_account),
    _operation("POST", "/api/virtual-account/{externalId}/alias", records.create_alias),
    _operation("POST", "/api/virtual-account/{externalId}/alias/confirm", records.confirm_alias),
    _operation("POST", "/api/payout", payouts.create_payout),
    _operation("POST", "/api/payout/authorize", payouts.authorize_payouts),
    _operation("PATCH", "/api/payout/cancel", payouts.cancel_payout),
    _operation("POST", "/api/billing", payouts.create_billing_order),
    _operation("POST", "/api/internal-transfer", payouts.transfer_internally),
    # The documentation prints both paths.
    _operation("POST", "/api/currency-exchange", payouts.exchange_currency),
    _operation("POST", "/currency-exchange", payouts.exchange_currency),
    _operation("POST", "/api/account/wire-in", payouts.notify_wire_in),
    _operation("POST", "/api/account/wire-out", payouts.wire_out),
    _operation("GET", "/api/transactions/{externalId}", payins.get_transaction),
    _operation("GET", "/api/transactions/{id}/status", payins.get_transaction_status),
    _operation("GET", "/api/transactions/list/filter", payins.list_transactions),
    _operation("GET", "/api/accounts/{accountNumber}/balance", payins.get_balance),
    _operation("GET", "/api/accounts/{accountNumber}/activity", payins.get_activity),
    _operation("GET", "/api/images/{code}/{barcode}", lookups.get_ticket_image),
)
NAMES = frozenset(operation.name for operation in CATALOGUE)
EFFECTFUL = frozenset(operation.name for operation in CATALOGUE if operation.methods != ("GET",))


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
    return Match(None, {}, tuple(sorted({method for operation, _ in found for method in operation.methods})))


def _wildcards(operation: Operation) -> list[bool]:
    return [segment.startswith("{") for segment in operation.path.split("/")]


# Literal segments first: `/api/subscriptions/plan` is a list of plans, not the subscription called plan.
_BY_PRECISION = sorted(CATALOGUE, key=_wildcards)
