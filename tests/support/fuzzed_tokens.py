"""Makes answers of a token endpoint that no one foresaw: a good one, spoilt in a way that chance chooses.

The same seed makes the same answers. Nothing here is a credential of anybody's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from dataclasses import dataclass
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

from proxy.tokens.renewal import LONGEST_SLEEP
from tests.support.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

SUSPENDED: Final = 3600.0  # seconds that pass in a nap of the keeper's, as they do in a machine that is suspended

ODD_NUMBERS: Final[tuple[object, ...]] = (
    0, -1, 1, 1.5, 1e308, -1e308, float("nan"), float("inf"), 10**18, 10**400, 2**63, True, False, None, "300", [], {},
)  # fmt: skip
ODD_TEXTS: Final = (
    "", "\ud800", "\udcff", "a b", "a\r\nX: y", "\x00", "\x7f", "é", "\u2028", "Bearer x", "a.b.c", "..", "x" * 20_000,
)  # fmt: skip
ODD_VALUES: Final[tuple[object, ...]] = (*ODD_NUMBERS, *ODD_TEXTS, [1], {"access": "x"}, [[[[]]]])
ODD_BODIES: Final = (
    b"", b"null", b"[]", b'"text"', b"{", b"[" * 60_000, b'{"a":' * 8000, b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}",
    b"\x00", b"\xed\xa0\x80", b'{"access":' + b"9" * 5000 + b"}", b"<html>", b"NaN", b'{"access":"\\ud800"}',
    b"{}" * 1000,
)  # fmt: skip
ODD_DATES: Final = (
    None, "", " ", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT", "Wed, 01 Jan 99999 12:00:00 GMT",
    "\x00", "é", "Wed, 01 Jan 2025 12:00:00 +9999", "0", ",", "1 2 3 4 5 6 7 8",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """A body, and the Date beside it."""

    body: bytes
    date: str | None


def jwt_of(payload: object) -> str:
    """A token with any claims at all, lone surrogates too, which no library would write."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    parts = (
        base64.urlsafe_b64encode(part.encode("utf-8", "surrogatepass")).decode().rstrip("=")
        for part in ('{"alg":"HS256"}', text)
    )
    return ".".join((*parts, "c2ln"))


def good(now: float, number: int) -> Fuzzed:
    """A pair that is as it should be, unlike any other number's."""
    access = jwt_of({"exp": int(now) + 300, "jti": number})
    refresh = jwt_of({"exp": int(now) + 86400, "jti": -number})
    return Fuzzed(json.dumps({"access": access, "refresh": refresh}).encode(), formatdate(now, usegmt=True))


class HastyClock(FakeClock):
    """A clock by which whatever is waited for has passed at once; it stops when there is nothing more to see."""

    def __init__(self) -> None:
        super().__init__()
        self.is_over: Callable[[], bool] = lambda: False
        self.over = asyncio.Event()

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        await asyncio.sleep(0)
        if self.is_over():
            self.over.set()
            await event.wait()  # and only then does the loop look again
        self._now += SUSPENDED if seconds >= LONGEST_SLEEP else max(seconds, 0.001)
        return event.is_set()


class Fuzzer:
    """Spoils answers.

    Args:
        seed: of the chance that it takes.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - which fault comes next is no secret
        self._number = 0

    def answer(self, now: float) -> Fuzzed:
        """Return the next answer, at `now` seconds since the epoch."""
        self._number += 1
        whole = good(now, self._number)
        pair: dict[str, Any] = json.loads(whole.body)
        date = self._chance.choice(ODD_DATES) if self._chance.random() < 0.2 else whole.date
        match self._chance.randrange(6):
            case 0:
                return Fuzzed(self._chance.choice(ODD_BODIES), date)
            case 1:
                return Fuzzed(self._scratched(whole.body), date)
            case 2:
                pair[self._chance.choice(("access", "refresh"))] = self._chance.choice(ODD_VALUES)
            case 3:
                odd = {"exp": self._chance.choice(ODD_NUMBERS), "iat": self._chance.choice(ODD_NUMBERS)}
                pair[self._chance.choice(("access", "refresh"))] = jwt_of(odd)
            case 4:
                payload = self._chance.choice(('{"exp":', "[" * 5000, '{"exp":1e999}', "\ud7ff", '"exp"', ""))
                pair["access"] = jwt_of(payload)
            case _:
                pair["access"] += self._chance.choice(ODD_TEXTS)
        return Fuzzed(json.dumps(pair).encode(), date)

    def _scratched(self, body: bytes) -> bytes:
        spoilt = bytearray(body)
        for _ in range(self._chance.randint(1, 4)):
            spoilt[self._chance.randrange(len(spoilt))] = self._chance.randrange(256)
        return bytes(spoilt)


def on_the_wire(given: Fuzzed) -> bytes:
    """Return a whole answer; a Date that no head could hold is left out."""
    odd = given.date is None or not given.date.isascii() or not given.date.isprintable()
    date = "" if odd else f"Date: {given.date}\r\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(given.body)}\r\n{date}\r\n"
    return head.encode() + given.body
