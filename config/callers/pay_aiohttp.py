"""Pays through the sidecar with aiohttp, and never twice: `pay_aiohttp.py URL EXTERNAL_ID…`."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from urllib.parse import quote

import aiohttp

PAUSE, LOOKS = 1.0, 60  # seconds between two looks, and how many there are before a person must look
BOUND = aiohttp.ClientTimeout(total=70, connect=5)  # longer than the sidecar's own 60 s


@dataclass(frozen=True)
class Answer:
    """An answer and what is known of the call's fate; status 0 is none."""

    fate: str
    status: int = 0
    retry_after: int = 1

    @property
    def ok(self) -> bool:
        """Whether Localpayment did as asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - 2xx


async def call(session: aiohttp.ClientSession, method: str, url: str, payment: object = None) -> Answer:
    """Call once. aiohttp repeats GET, HEAD, PUT and DELETE by itself when a kept connection dies, never a POST."""
    try:
        async with session.request(method, url, json=payment) as answer:
            body = await answer.read()  # an answer that was cut fails here, not before
            ours = answer.headers.get("Proxy-Status", "").startswith("localpayment-proxy;")
            known = "answered" if answer.status < 500 else "unknown"  # noqa: PLR2004 - 5xx
            fate = (await answer.json(content_type=None))["outcome"] if ours and body else known
            print(method, answer.status, fate, flush=True)  # noqa: T201 - its report
            return Answer(fate, answer.status, int(answer.headers.get("Retry-After", 1)))
    except (aiohttp.ClientError, TimeoutError) as error:  # no connection, one that died, or an answer that was cut
        print(method, type(error).__name__, flush=True)  # noqa: T201 - its report
        return Answer("unknown")


async def pay(session: aiohttp.ClientSession, base: str, payment: dict[str, object]) -> Answer:
    """Pay once: whether Localpayment has the payment is asked before it is sent again, with the same externalId."""
    look = f"{base}/api/transactions/{quote(str(payment['externalId']), safe='')}/status"
    doubt = False
    while True:
        answer = await call(session, "POST", f"{base}/api/payin", payment)
        if answer.fate == "not_sent":  # 503: Localpayment has processed nothing
            await asyncio.sleep(answer.retry_after)
        elif answer.fate != "unknown" and (answer.ok or not doubt):
            return answer
        elif found := await found_by(session, look):  # 502, 504, a cut answer, a restart; or refused as a duplicate
            return found
        elif answer.fate != "unknown":
            return answer
        else:
            doubt = True


async def found_by(session: aiohttp.ClientSession, look: str) -> Answer | None:
    """Ask until there is an answer; None when two looks, a pause apart, find no such payment."""
    missed = 0
    for _ in range(LOOKS):
        answer = await call(session, "GET", look)
        if answer.ok:
            return answer
        missed += answer.fate == "answered" and answer.status == 404  # noqa: PLR2004 - Not Found
        if missed == 2:  # noqa: PLR2004 - the first look may have come before the call
            return None
        await asyncio.sleep(PAUSE)
    raise TimeoutError(look)


async def main(base: str, *orders: str) -> None:
    """Pay each order over one session."""
    async with aiohttp.ClientSession(timeout=BOUND) as session:
        for order in orders:
            done = await pay(session, base, {"externalId": order, "country": "ARG", "currency": "USD", "amount": 25})
            print(order, "paid" if done.ok else "refused", flush=True)  # noqa: T201 - its report


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
