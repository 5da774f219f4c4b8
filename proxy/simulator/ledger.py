"""Keeps the simulated merchant's transactions and balances.

Pure state: no I/O and no clock; the time is an argument. The same calls give the same figures every time.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from proxy.simulator.answer import not_found, rejected
from proxy.simulator.call import CENT, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

# The shape of the documented sample `032.840.00000001`: country and currency by ISO number, then a serial number.
ACCOUNT = re.compile(r"\d{3}\.(\d{3})\.\d{8}")
DEFAULT_ACCOUNT = "032.840.00000001"
CURRENCY_NUMBERS = {"032": "ARS", "152": "CLP", "170": "COP", "484": "MXN", "604": "PEN", "840": "USD", "986": "BRL"}
# Invented, round and fixed, so that a reader can check a conversion in the head: units for one US dollar.
RATES = {
    "ARS": Decimal(1000),
    "BRL": Decimal(5),
    "CLP": Decimal(1000),
    "COP": Decimal(4000),
    "MXN": Decimal(20),
    "PEN": Decimal(4),
    "USD": Decimal(1),
}
OPENING_BALANCE = Decimal("100000.00")
# A name space of our own for internal ids that follow from the external ones.
INTERNAL_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "localpayment-proxy:simulator")

Record = dict[str, object]


class Flow(StrEnum):
    """What a transaction is, as the API names it."""

    PAYIN = "PayIn"
    PAYOUT = "PayOut"
    BILLING = "Billing"
    INTERNAL_TRANSFER = "InternalTransfer"
    CURRENCY_EXCHANGE = "CurrencyExchange"
    WIRE_IN = "WireIn"
    WIRE_OUT = "WireOut"


class State(StrEnum):
    """How far a transaction is; the value is the API's description."""

    PENDING = "INPROGRESS"
    AUTHORIZED = "AUTHORIZED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    REFUNDED = "REFUNDED"


# Localpayment's list of transaction statuses; what it has for cancelled and refunded we do not know: 900, 901 are ours.
STATUSES = {
    State.PENDING: ("100", "is pending"),
    State.AUTHORIZED: ("102", "was authorized and awaits its capture"),
    State.COMPLETED: ("200", "was completed"),
    State.CANCELLED: ("900", "was cancelled"),
    State.REFUNDED: ("901", "was refunded"),
}


@dataclass(slots=True)
class Transaction:
    """One movement of money, or the wish for one."""

    external_id: str
    flow: Flow
    amount: Decimal
    currency: str
    account: str
    created: float
    state: State
    country: str | None = None
    method: Mapping[str, object] = field(default_factory=dict)
    refunded: Decimal = Decimal(0)
    extra: Record = field(default_factory=dict)

    @property
    def status(self) -> dict[str, str]:
        """The status object of every answer about this transaction."""
        code, text = STATUSES[self.state]
        return {"code": code, "description": self.state.value, "detail": f"The {self.flow.value.lower()} {text}"}

    def as_json(self) -> Record:
        """The transaction as the API answers it; what was not given is left out."""
        given: Record = {
            "transactionType": self.flow.value,
            **ids(self.external_id),
            "country": self.country,
            "currency": self.currency,
            "amount": float(self.amount),
            "refundedAmount": float(self.refunded) or None,
            "accountNumber": self.account,
            "paymentMethod": dict(self.method) or None,
            **self.extra,
            "status": self.status,
            "date": {"creationDate": timestamp(self.created)},
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an account's activity; the amount is signed."""

    at: float
    external_id: str
    flow: Flow
    amount: Decimal
    balance: Decimal


class Ledger:
    """Transactions, balances and everything else that calls leave behind."""

    def __init__(self) -> None:
        self.transactions: dict[str, Transaction] = {}
        self.entries: dict[str, list[Entry]] = defaultdict(list)
        self.quotes: dict[str, float] = {}
        self.plans: dict[str, Record] = {}
        self.subscriptions: dict[str, Record] = {}
        self.virtual_accounts: dict[str, Record] = {}
        self.batches: dict[str, Record] = {}
        self._claimed: set[str] = set()

    def claim(self, external_id: str) -> None:
        """Reserve an external id for good; only a call that is otherwise accepted may do so.

        Raises:
            RefusalError: it was used before, by whatever operation.
        """
        self.refuse_duplicate(external_id)
        self._claimed.add(external_id)

    def refuse_duplicate(self, external_id: str) -> None:
        """Raise the refusal of `claim`, without claiming."""
        if external_id in self._claimed:
            raise rejected(500, "External ID already used - Duplication", externalId=external_id)

    def record(self, transaction: Transaction) -> Transaction:
        """Take in a new transaction under its external id."""
        self.claim(transaction.external_id)
        self.transactions[transaction.external_id] = transaction
        return transaction

    def find(self, identifier: str) -> Transaction:
        """A transaction by its external or internal id."""
        found = self.transactions.get(identifier)
        if found is None:
            matches = (item for item in self.transactions.values() if internal_id(item.external_id) == identifier)
            found = next(matches, None)
        if found is None:
            raise not_found(503, "Transaction not found")
        return found

    def balance(self, account: str) -> Decimal:
        """An account's balance in its own currency; every well-formed account exists and opens with the same sum."""
        currency_of(account)
        entries = self.entries.get(account)
        return entries[-1].balance if entries else OPENING_BALANCE

    def post(self, transaction: Transaction, amount: Decimal, now: float, account: str | None = None) -> None:
        """Credit, or with a negative amount debit, an account by an amount in the transaction's currency.

        Raises:
            RefusalError: the account does not hold as much.
        """
        number = account or transaction.account
        change = converted(amount, transaction.currency, currency_of(number))
        balance = self.balance(number) + change
        if change < 0 and balance < 0:
            raise rejected(505, "Insufficient funds", externalId=transaction.external_id)
        self.entries[number].append(Entry(now, transaction.external_id, transaction.flow, change, balance))


def internal_id(external_id: str) -> str:
    """Localpayment's own id of a thing: always the same for one external id."""
    return str(uuid.uuid5(INTERNAL_IDS, external_id))


def ids(external_id: str) -> Record:
    """Both ids of a thing, as every answer about it begins."""
    return {"externalId": external_id, "internalId": internal_id(external_id)}


def digits(seed: str, length: int) -> str:
    """Invented digits, at most 70, always the same for one seed."""
    return str(int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")).rjust(length, "0")[-length:]


def currency_of(account: str) -> str:
    """The currency an account is kept in."""
    shape = ACCOUNT.fullmatch(account)
    if shape is None:
        raise not_found(701, "IncorrectAccountNumber")
    return CURRENCY_NUMBERS.get(shape[1], "USD")


def converted(amount: Decimal, source: str, target: str) -> Decimal:
    """An amount in another currency, to the cent."""
    return (amount / RATES[source] * RATES[target]).quantize(CENT)
