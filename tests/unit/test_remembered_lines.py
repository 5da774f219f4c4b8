"""No line that may hold a secret, or name a payment, is ever remembered; and never more than a bounded number."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import Origin
from proxy.http1.answer_head import AnswerHeads
from proxy.http1.header_cache import HARMLESS, LONGEST, MOST, is_harmless, keep
from proxy.relay.request.plain_request import Reader
from proxy.relay.response.head import ResponseHeads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.http1.framing import Head

CANARY = b"canary-8d1e"
HEADS = AnswerHeads(128)
COMPOSED = ResponseHeads(Origin("api.localpayment.com", 443, tls=True))
TELLING = (
    *(b"Authorization", b"Proxy-Authorization", b"Cookie", b"Set-Cookie", b"X-Proxy-Key", b"Idempotency-Key"),
    *(b"X-Request-Id", b"Traceparent", b"Tracestate", b"Baggage", b"X-Client-Code", b"X-Api-Key", b"Location", b"ETag"),
    *(b"WWW-Authenticate", b"X-Unknown", b"Link", b"Referer", b"If-None-Match", b"X-Forwarded-For", b"From"),
    *(b"authorization", b"AUTHORIZATION", b"x-required"),
)
telling = pytest.mark.parametrize("name", TELLING)


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    for known in (HEADS.known_lines, HEADS.known_heads, COMPOSED.known):
        known.clear()
    yield
    for known in (HEADS.known_lines, HEADS.known_heads, COMPOSED.known):
        known.clear()


def request(line: bytes) -> bytes:
    return b"\r\n".join((b"POST /api/payout HTTP/1.1", b"Host: localhost", line, b"Accept: */*", b"", b""))


def answered(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> Head:
    """Read an answer's head, and make the caller's of it, as for each call."""
    head = HEADS.plain_head(b"GET", b"\r\n".join((status, *lines, b"Content-Length: 0")))
    assert head is not None
    COMPOSED.compose(head, "ours", None)
    return head


def known_of_answers() -> tuple[object, ...]:
    return HEADS.known_lines, HEADS.known_heads, [(head.headers, head.reason) for head in COMPOSED.known]


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
    reader = Reader(b"x-required" if name == b"x-required" else None)
    assert reader.read(request(name + b": " + CANARY)) is not None
    assert not remembers((reader._known, reader._known_fields))
    assert b"Accept: */*" in reader._known
    assert reader._known_fields == {}


@telling
def test_no_telling_line_of_an_answer_is_remembered(name: bytes) -> None:
    head = answered(name + b": " + CANARY, b"Server: nginx")
    assert (name, CANARY) in head.headers
    assert not remembers(known_of_answers())
    assert not head.comes_again
    assert b"Server: nginx" in HEADS.known_lines
    assert (HEADS.known_heads, COMPOSED.known) == ({}, {})


@pytest.mark.parametrize("status", [b"HTTP/1.1 200 " + CANARY, b"HTTP/1.1 299 " + CANARY, b"HTTP/1.1 404 OK " + CANARY])
def test_no_head_whose_words_an_origin_makes_up_is_remembered(status: bytes) -> None:
    assert answered(b"Server: nginx", status=status).reason.endswith(CANARY)
    assert not remembers(known_of_answers())
    assert (HEADS.known_heads, COMPOSED.known) == ({}, {})


def test_a_head_of_harmless_lines_is_remembered_whole() -> None:
    reader = Reader()
    block = b"Host: localhost\r\nAccept: */*"
    for _ in range(2):  # the first time its lines are new
        assert reader._known_fields == {}
        assert reader.read(b"GET /api/" + CANARY + b" HTTP/1.1\r\n" + block + b"\r\n\r\n") is not None
    assert set(reader._known_fields) == {block}
    assert not remembers((reader._known, reader._known_fields))
    answered(b"Server: nginx")
    head = answered(b"Server: nginx")
    assert list(COMPOSED.known) == [head]


def test_a_line_that_is_very_long_is_not_remembered_nor_any_head_with_it() -> None:
    reader = Reader()
    exact = b"Accept: " + b"x" * (LONGEST - len(b"Accept: "))
    for line in (exact, exact + b"x", b"Accept: " + b"y" * 7000) * 2:
        assert reader.read(request(line)) is not None
        answered(b"Server" + line[6:])
    assert set(reader._known) == {exact, b"Accept: */*", b"Host: localhost"}
    assert len(reader._known_fields) == len(HEADS.known_heads) == len(COMPOSED.known) == 1
    assert set(HEADS.known_lines) == {b"Server" + exact[6:], b"Content-Length: 0"}


def test_what_is_remembered_is_bounded_and_forgotten_at_once_when_it_is_full() -> None:
    known: dict[int, int] = {}
    for number in range(MOST * 3 + 1):
        assert keep(known, number, -number, most=MOST) == -number
        assert len(known) <= MOST
        assert known[number] == -number
    assert len(known) == 1


def test_many_different_lines_and_heads_take_bounded_room() -> None:
    reader = Reader()
    for number in range(MOST * 2 + 10):
        for _ in range(2):
            assert reader.read(request(b"User-Agent: client/%d" % number)) is not None
            answered(b"Age: %d" % number)
        for known in (reader._known, reader._known_fields, HEADS.known_lines, HEADS.known_heads, COMPOSED.known):
            assert 0 < len(known) <= MOST


@pytest.mark.parametrize(
    ("name", "size", "harmless"),
    [
        (b"accept", LONGEST, True),
        (b"accept", LONGEST + 1, False),
        (b"authorization", 20, False),
        (b"Accept", 20, False),
    ],
)
def test_what_may_be_remembered(name: bytes, size: int, *, harmless: bool) -> None:
    assert is_harmless(name, b"x" * size) == harmless


def test_the_names_that_may_be_remembered_are_those_that_a_reviewer_has_seen() -> None:
    """Whoever adds one must come here: it may hold no credential, no person's data and no id, and few values."""
    assert not HARMLESS & {name.lower() for name in TELLING}
    assert all(name == name.lower() for name in HARMLESS)
    words = {word for name in HARMLESS for word in name.split(b"-")}
    assert not words & {b"auth", b"authorization", b"cookie", b"key", b"token", b"id"}
    assert len(HARMLESS) == 31
