"""No line that may hold a secret, or name a payment, is ever remembered; and never more than a bounded number."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from proxy.relay import ordinary_answer
from proxy.relay.ordinary import Reader
from proxy.relay.ordinary_answer import answer_head
from proxy.upstream import plain_head as heads
from proxy.upstream.framing import Ending, Framing, Head
from proxy.upstream.lines import HARMLESS, LONGEST, MOST, remember
from proxy.upstream.plain_head import plain_head

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = b"canary-8d1e"
TELLING = (
    *(b"Authorization", b"Proxy-Authorization", b"Cookie", b"Set-Cookie", b"X-Proxy-Key", b"Idempotency-Key"),
    *(b"X-Request-Id", b"Traceparent", b"Tracestate", b"Baggage", b"X-Client-Code", b"X-Api-Key", b"Location", b"ETag"),
    *(b"WWW-Authenticate", b"X-Unknown", b"Link", b"Referer", b"If-None-Match", b"X-Forwarded-For", b"From"),
    *(b"authorization", b"AUTHORIZATION", b"x-required"),
)
telling = pytest.mark.parametrize("name", TELLING)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    for known in (heads._known, ordinary_answer._known):
        known.clear()
    yield
    for known in (heads._known, ordinary_answer._known):
        known.clear()


def request(line: bytes) -> bytes:
    return b"\r\n".join((b"POST /api/payout HTTP/1.1", b"Host: localhost", line, b"Accept: */*", b"", b""))


def head_of(*fields: tuple[bytes, bytes], reason: bytes = b"OK") -> Head:
    return Head(200, reason, list(fields), Framing(Ending.HEAD, 0, keeps_alive=True))


def remembers(known: object) -> bool:
    """Whether the canary stands in it, or in anything that it leads to."""
    seen: set[int] = set()
    waiting: list[Any] = [known]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, bytes | str) and (CANARY in part if isinstance(part, bytes) else CANARY.decode() in part):
            return True
        if isinstance(part, dict | tuple | list | frozenset | set):
            waiting.extend(gc.get_referents(part))
    return False


@telling
def test_no_telling_line_of_a_request_is_remembered(name: bytes) -> None:
    reader = Reader(frozenset(("localhost",)), (b"x-required", CANARY) if name == b"x-required" else None)
    assert reader.read(request(name + b": " + CANARY)) is not None
    assert not remembers(reader._known)
    assert b"Accept: */*" in reader._known


@telling
def test_no_telling_line_of_an_answer_is_remembered(name: bytes) -> None:
    lines = [b"HTTP/1.1 200 OK", name + b": " + CANARY, b"Server: nginx", b"Content-Length: 0"]
    head = plain_head(b"GET", lines)
    assert head is not None
    assert (name, CANARY) in head.headers
    assert not remembers(heads._known)
    assert b"Server: nginx" in heads._known
    answer_head(head, "ours")
    assert not remembers(ordinary_answer._known)


def test_no_reason_that_an_origin_makes_up_is_remembered() -> None:
    before = dict(heads._STATUSES)
    for line in (b"HTTP/1.1 200 " + CANARY, b"HTTP/1.1 299 Odd", b"HTTP/1.1 200 "):
        assert plain_head(b"GET", [line, b"Content-Length: 0"]) is not None
    assert before == heads._STATUSES
    answer_head(head_of((b"Server", b"nginx"), reason=CANARY), "ours")
    assert not remembers(ordinary_answer._known)


def test_a_line_that_is_very_long_is_not_remembered() -> None:
    reader = Reader(None)
    exact = b"Accept: " + b"x" * (LONGEST - len(b"Accept: "))
    for line in (exact, exact + b"x", b"Accept: " + b"y" * 7000):
        assert reader.read(request(line)) is not None
        plain_head(b"GET", [b"HTTP/1.1 200 OK", b"Server" + line[6:]])
    assert set(reader._known) == {exact, b"Accept: */*", b"Host: localhost"}
    assert set(heads._known) == {b"Server" + exact[6:]}
    value = b"x" * (LONGEST - len(b"Server"))
    answer_head(head_of((b"Server", value)), "ours")
    answer_head(head_of((b"Server", value + b"x")), "ours")
    assert set(ordinary_answer._known) == {(b"Server", value)}


def test_what_is_remembered_is_bounded_and_forgotten_at_once_when_it_is_full() -> None:
    known: dict[int, int] = {}
    for number in range(MOST * 3 + 1):
        assert remember(known, number, -number, name=b"accept", size=9) == -number
        assert len(known) <= MOST
        assert known[number] == -number
    assert len(known) == 1


def test_what_is_not_remembered_is_returned_all_the_same() -> None:
    known: dict[bytes, int] = {}
    assert remember(known, b"x", 1, name=b"authorization", size=1) == 1
    assert remember(known, b"x", 2, name=b"accept", size=LONGEST + 1) == 2
    assert known == {}


def test_the_names_that_may_be_remembered_are_those_that_a_reviewer_has_seen() -> None:
    """Whoever adds one must come here: it may hold no credential, no person's data and no id, and few values."""
    assert not HARMLESS & {name.lower() for name in TELLING}
    assert all(name == name.lower() for name in HARMLESS)
    words = {word for name in HARMLESS for word in name.split(b"-")}
    assert not words & {b"auth", b"authorization", b"cookie", b"key", b"token", b"id"}
    assert len(HARMLESS) == 31
