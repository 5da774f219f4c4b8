"""Answers the operations that move no money: validations, lists, quotes, card tokens, documents, images."""

from __future__ import annotations

import base64
import hashlib
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING

from proxy.simulator.answer import Answer, RefusalError, detailed, invalid, said
from proxy.simulator.call import CENT, timestamp
from proxy.simulator.ledger import RATES, Ledger, digits
from proxy.simulator.operations.payins import currency_in

if TYPE_CHECKING:
    from proxy.simulator.call import Call

# Short-lived, as the catalogue calls quotes; the real life is not documented.
QUOTE_SECONDS = 60.0
BIN_LENGTH = 6
BRANDS = {"3": "AMEX", "4": "VISA", "5": "MASTERCARD"}
METHODS = (("Cash", "1602"), ("BankTransfer", "1630"), ("CreditCard", "1001"))
BANKS = (("001", "Banco Uno"), ("002", "Banco Dos"), ("003", "Banco Tres"))
HOLIDAYS = (("01-01", "New Year's Day"), ("05-01", "Labour Day"), ("12-25", "Christmas Day"))
# Instalments, and what each number of them costs on top.
INSTALLMENT_FEES = {1: Decimal(0), 3: Decimal("0.05"), 6: Decimal("0.10"), 12: Decimal("0.20")}
# A document or account number shorter than this is a typing error anywhere in Latin America.
SHORTEST_NUMBER = 5
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)


def validate_document(_: Ledger, call: Call) -> Answer:
    """Whether a document number could be one; never says the number again."""
    return _validated(call, call.mapping("document").get("id", ""))


def validate_bank_account(_: Ledger, call: Call) -> Answer:
    """Whether an account number could be one; never says the number again."""
    return _validated(call, call.mapping("bank").get("accountNumber", ""))


def lookup_bin(_: Ledger, call: Call) -> Answer:
    """The brand behind a card's first digits."""
    found = call.query.get("bin", "")
    if not (found.isascii() and found.isdigit() and len(found) >= BIN_LENGTH):
        raise invalid(bin=f"This parameter is required and has at least {BIN_LENGTH} digits.")
    return said({"brand": BRANDS.get(found[0], "OTHER"), "type": "CREDIT", "country": "MEX"})


def list_payment_methods(_: Ledger, call: Call) -> Answer:
    """How payers can pay in a country."""
    country = call.query.get("country", "MEX")
    return said([{"country": country, "type": kind, "code": code} for kind, code in METHODS])


def list_holidays(_: Ledger, call: Call) -> Answer:
    """Days without banking in the present year."""
    year, country = timestamp(call.now)[:4], call.query.get("country", "MEX")
    return said([{"country": country, "date": f"{year}-{day}", "name": name} for day, name in HOLIDAYS])


def list_banks(_: Ledger, call: Call) -> Answer:
    """The banks of a country."""
    country = call.query.get("country", "MEX")
    return said([{"country": country, "code": code, "name": name} for code, name in BANKS])


def quote_exchange(ledger: Ledger, call: Call) -> Answer:
    """A rate that holds for a minute, and the token that claims it."""
    source, target = (call.query.get(name, preset) for name, preset in (("from", "USD"), ("to", "BRL")))
    if source not in RATES or target not in RATES:
        raise invalid(currency=f"One of {', '.join(RATES)}.")
    expires = call.now + QUOTE_SECONDS
    token = digits(f"{source}{target}{expires}", 16)
    ledger.quotes[token] = expires
    rate = float((RATES[target] / RATES[source]).quantize(Decimal("0.000001")))
    return said(
        {
            "type": call.parameters["type"],
            "from": source,
            "to": target,
            "rate": rate,
            "token": token,
            "expirationDate": timestamp(expires),
        },
    )


def quote_installments(_: Ledger, call: Call) -> Answer:
    """What an amount costs in instalments."""
    amount, currency = call.amount(), currency_in(call)
    totals = {number: (amount * (1 + fee)).quantize(CENT) for number, fee in INSTALLMENT_FEES.items()}
    plans = [
        {"installments": number, "installmentAmount": float((total / number).quantize(CENT)), "total": float(total)}
        for number, total in totals.items()
    ]
    return said({"currency": currency, "amount": float(amount), "plans": plans})


def tokenize_card(_: Ledger, call: Call) -> Answer:
    """A token in base64, which needs percent-encoding in a path, as the real ones do; nothing of the card is kept."""
    card = call.mapping("card")
    number = str(card.get("number", ""))
    if not (number.isascii() and number.isdigit()):
        raise invalid(card="A card with its number, in digits, is required.")
    token = base64.b64encode(hashlib.sha256(number.encode()).digest()).decode()
    return said({"token": token, "brand": BRANDS.get(number[0], "OTHER")}, HTTPStatus.CREATED)


def submit_chargeback_documents(ledger: Ledger, call: Call) -> Answer:
    """Files against a chargeback are taken in and thrown away."""
    if not call.multipart:
        raise RefusalError(detailed(415, "Unsupported media type in request."))
    transaction = ledger.find(call.parameters["externalId"])
    status = {"code": "200", "description": "RECEIVED", "detail": "The documentation was received"}
    return said({"externalId": transaction.external_id, "status": status}, HTTPStatus.CREATED)


def get_ticket_image(_ledger: Ledger, _call: Call) -> Answer:
    """A picture of a bar code: always the same one, a white point, as PNG."""
    return Answer(200, PICTURE, "image/png")


def _validated(call: Call, number: object) -> Answer:
    text = str(number)
    return said({"valid": len(text) >= SHORTEST_NUMBER and text.isalnum(), "country": call.text("country")})
