"""Pays through the sidecar with requests, and never twice: `pay_requests.py URL EXTERNAL_ID…`."""

from __future__ import annotations

import sys
import time
from urllib.parse import quote

import requests

PAUSE, LOOKS = 1.0, 60  # seconds between two looks, and how many there are before a person must look
# requests repeats nothing by itself. Mount no adapter with Retry(allowed_methods=None): it repeats payments.
SESSION = requests.Session()
SESSION.trust_env = False  # HTTP_PROXY must not lead calls past the sidecar


def call(method: str, url: str, payment: object = None) -> tuple[str, requests.Response | None]:
    """Call once; return what is known of the call's fate, and the answer if there is one."""
    try:
        answer = SESSION.request(method, url, json=payment, timeout=(5, 70))  # longer than the sidecar's own 60 s
    except requests.RequestException as error:  # no connection, one that died, or an answer that was cut
        print(method, type(error).__name__)  # noqa: T201 - its report
        return "unknown", None
    ours = answer.headers.get("Proxy-Status", "").startswith("localpayment-proxy;")
    fate = answer.json()["outcome"] if ours else "answered" if answer.status_code < 500 else "unknown"  # noqa: PLR2004 - 5xx
    print(method, answer.status_code, fate, flush=True)  # noqa: T201 - its report
    return fate, answer


def pay(base: str, payment: dict[str, object]) -> requests.Response:
    """Pay once: whether Localpayment has the payment is asked before it is sent again, with the same externalId."""
    look = f"{base}/api/transactions/{quote(str(payment['externalId']), safe='')}/status"
    doubt = False
    while True:
        fate, answer = call("POST", f"{base}/api/payin", payment)
        if answer is not None and fate == "not_sent":  # 503: Localpayment has processed nothing
            time.sleep(int(answer.headers["Retry-After"]))
        elif answer is not None and fate != "unknown" and (answer.ok or not doubt):
            return answer
        elif found := found_by(look):  # 502, 504, a cut answer, a restart; or a repeat was refused as a duplicate
            return found
        elif answer is not None and fate != "unknown":
            return answer
        else:
            doubt = True


def found_by(look: str) -> requests.Response | None:
    """Ask until there is an answer; None when two looks, a pause apart, find no such payment."""
    missed = 0
    for _ in range(LOOKS):
        fate, answer = call("GET", look)
        if answer is not None and answer.ok:
            return answer
        missed += answer is not None and fate == "answered" and answer.status_code == requests.codes.not_found
        if missed == 2:  # noqa: PLR2004 - the first look may have come before the call
            return None
        time.sleep(PAUSE)
    raise TimeoutError(look)


if __name__ == "__main__":
    for order in sys.argv[2:]:
        done = pay(sys.argv[1], {"externalId": order, "country": "ARG", "currency": "USD", "amount": 25})
        print(order, "paid" if done.ok else "refused", flush=True)  # noqa: T201 - its report
