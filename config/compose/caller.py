"""What does a service look like that calls Localpayment through the sidecar? It knows an address, and no credential.

The one rule worth copying: after an outcome that is unknown, look before paying again.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import Request, urlopen

BASE = os.environ.get("LOCALPAYMENT_URL", "http://127.0.0.1:8080")
PAUSE = os.environ.get("CALLER_PAUSE")  # seconds between rounds; without it there is one


def call(method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    """Call Localpayment; return the status and the parsed answer, status 0 without a listener."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(BASE + path, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - our own URL
    try:
        with urlopen(request, timeout=70) as answer:  # noqa: S310 - as above
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)
    except OSError as error:
        return 0, {"outcome": "unknown", "detail": str(error)}


def pay(order: str, amount: int) -> tuple[int, dict[str, object]]:
    """Pay once: when it cannot be known whether a payment was made, ask for it by its externalId."""
    payment = {
        "externalId": order,
        "country": "ARG",
        "currency": "USD",
        "amount": amount,
        "paymentMethod": {"type": "CreditCard", "code": "1001"},
    }
    status, answer = call("POST", "/api/payin", payment)
    if answer.get("outcome") == "unknown":
        return call("GET", f"/api/transactions/{order}/status")
    return status, answer


def balance() -> tuple[int, dict[str, object]]:
    """Read the account's balance."""
    return call("GET", "/api/accounts/032.840.00000001/balance")


def a_round() -> bool:
    """Read the balance, pay, read the balance again; return whether all went well."""
    well = True
    order = f"compose-{uuid.uuid4()}"
    for name, (status, answer) in (("balance", balance()), ("payment", pay(order, 25)), ("balance", balance())):
        well = well and HTTPStatus.OK <= status < HTTPStatus.BAD_REQUEST
        sys.stdout.write(f"{name}: {status} {json.dumps(answer)}\n")
    sys.stdout.flush()
    return well


def main() -> int:
    """Go one round, or as many as there are until the end; return 1 if the last one failed."""
    well = a_round()
    while PAUSE:
        time.sleep(float(PAUSE))
        well = a_round()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
