"""Whatever bytes come from either side: one verdict, no defect, nothing sent twice, and the next caller is served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.answer_segments import Sent, answers
from tests.support.origins import Answered, calling, greeting, localpayment, request, said
from tests.support.sidecars import settings_for, sidecar
from tests.support.wire_requests import FORWARDED, REFUSED, get, post

if TYPE_CHECKING:
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

quickly = settings(max_examples=80)
STATUSES = {200, 400, 403, 405, 408, 413, 414, 417, 431}
VALID = [sent for sent, _ in FORWARDED.values()]
SHORT = [sent for sent, _ in REFUSED.values() if len(sent) < 1000]


@st.composite
def damaged(draw: st.DrawFn) -> list[bytes]:
    """A request with some bytes of it replaced, left out or added, in some segments."""
    sent = bytearray(draw(st.sampled_from(VALID + SHORT)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(sent)))
        put = draw(
            st.one_of(st.binary(max_size=3), st.sampled_from([b"\r\n", b"\r\n\r\n", b": ", b"0\r\n\r\n", b" ", b"\0"]))
        )
        sent[at : at + draw(st.integers(0, 3))] = put
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=3)))
    return [bytes(sent[a:b]) for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


async def answers_to(relay: Running, segments: list[bytes]) -> list[Answered]:
    """Send the segments; return what comes until the sidecar has no more to say, or cuts a head that does not end."""
    async with calling(relay) as caller:
        for segment in segments:
            await caller.send(segment)
            await asyncio.sleep(0)
        found: list[Answered] = []
        try:
            async with asyncio.timeout(0.1):
                while True:
                    found.append(await caller.one())
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return found


@quickly
@example([post(b"Content-Length: 5", body=get())])
@example([b"\r\n" * 50])
@example([bytes(range(256))])
@given(damaged())
def test_any_request_is_one_request_or_a_refusal(segments: list[bytes]) -> None:
    async def scenario() -> None:
        async with localpayment(greeting) as there:
            where = settings_for(there.url, header_timeout=0.05, idle_timeout=0.05)
            async with sidecar(where) as relay:
                found = await answers_to(relay, segments)
                assert {answer.status for answer in found} <= STATUSES
                assert sum(answer.status == 200 for answer in found) <= there.calls.count(b"Via: 1.")
                assert relay.lines("request.failed") == []
                assert (await said(relay, request("GET", "/api/resources/banks"))).status == 200
                sent = there.calls.count(b"Authorization: Bearer ")
                assert sent == there.calls.count(b"Via: 1.") == sum(line["attempts"] for line in relay.calls)

    asyncio.run(scenario())


# Fields whose values something reads, here or in aiohttp's server.
READ = (
    *(
        b"Host",
        b"Connection",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Expect",
        b"Upgrade",
        b"TE",
        b"Trailer",
        b"Via",
    ),
    *(b"Authorization", b"X-Proxy-Key", b"X-Request-Id", b"Traceparent", b"Tracestate", b"Origin", b"Sec-Fetch-Site"),
    *(b"Sec-Fetch-Mode", b"X-Envoy-Attempt-Count", b"Max-Forwards", b"Content-Type", b"Content-Encoding", b"Cookie"),
    *(b"Sec-WebSocket-Key1", b"Proxy-Status", b"Idempotency-Key", b"X-HTTP-Method-Override", b"X-Anything"),
)
USUAL = (
    b"",
    b"close",
    b"100-continue",
    b"gzip",
    b"1",
    b"00-" + b"0" * 32 + b"-" + b"f" * 16 + b"-01",
    b"Bearer a",
    b",",
)
VALUES = st.lists(st.one_of(st.sampled_from(USUAL), st.binary(max_size=12)), max_size=3).map(b"".join)
TARGETS = (
    b"/api/x",
    b"/api/payout",
    b"/api/payouts/release",
    b"http://localhost/api/x",
    b"http://[::1]:8080",
    b"*",
    b"//",
)


@quickly
@example((b"OPTIONS", b"/api/x", [(b"Max-Forwards", b"\xb2")]))
@example((b"POST", b"/api/payout", [(b"Content-Length", b"\xb2")]))
@example((b"POST", b"/api/payout", [(b"X-Envoy-Attempt-Count", b"\xb2")]))
@given(
    st.tuples(
        st.sampled_from((b"GET", b"POST", b"OPTIONS", b"DELETE")),
        st.sampled_from(TARGETS),
        st.lists(st.tuples(st.sampled_from(READ), VALUES), max_size=4),
    )
)
def test_whatever_a_field_holds_it_is_no_defect(sent: tuple[bytes, bytes, list[tuple[bytes, bytes]]]) -> None:
    method, target, fields = sent
    lines = [
        b"%b %b HTTP/1.1" % (method, target),
        b"Host: localhost",
        *(name + b": " + value for name, value in fields),
    ]

    async def scenario() -> None:
        async with localpayment(greeting) as there:
            where = settings_for(there.url, header_timeout=0.05, idle_timeout=0.05)
            async with sidecar(where) as relay:
                found = await answers_to(relay, [b"\r\n".join([*lines, b"", b""])])
                assert {answer.status for answer in found} <= STATUSES | {204}
                assert relay.lines("request.failed") == relay.lines("library.logged") == []
                assert (await said(relay, request("GET", "/api/resources/banks"))).status == 200

    asyncio.run(scenario())


@quickly
@given(answers(), st.binary(max_size=4), st.data())
def test_any_answer_is_passed_on_whole_or_is_seen_not_to_be(sent: Sent, damage: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sent.wire)))
    end = data.draw(st.integers(at, min(len(sent.wire), at + 4)))
    wire_bytes = sent.wire[:at] + damage + sent.wire[end:]

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(wire_bytes)
        wire.writer.close()

    async def scenario() -> None:
        async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay:
            method = sent.method.decode()
            got = await said(relay, request(method, "/api/payout"))
            (line,) = relay.calls
            assert there.calls.count(b" /api/payout HTTP/1.1\r\n") == 1
            assert relay.lines("request.failed") == []
            match line["outcome"]:
                case "answered":
                    assert got.complete or method == "HEAD"
                case "unknown":
                    assert (got.status, line["code"]) in {(502, "upstream_malformed"), (502, "upstream_disconnected")}
                case outcome:
                    assert (outcome, got.complete and method != "HEAD") == ("aborted", False)
            if wire_bytes == sent.wire:
                assert (line["outcome"], got.status) == ("answered", sent.status)

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_a_request_in_crumbs_is_the_same_request(size: int) -> None:
    sent, _ = FORWARDED["chunks"]
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        for data in (sent, get()):
            for at in range(0, len(data), size):
                await caller.send(data[at : at + size])
                await asyncio.sleep(0)
            assert (await caller.one()).status == 200
        assert there.calls.count(b"Via: 1.1 localpayment-proxy\r\n") == 2
