"""What crosses untouched, and what the sidecar adds: to the call, and to its answer."""

from __future__ import annotations

import asyncio
import gzip
import re
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support.origins import HELLO, Answered, calling, greeting, localpayment, request, said
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.scripted_origin import Wire

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def saying(answer: bytes) -> Callable[[Wire], Awaitable[None]]:
    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(answer)

    return script


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"302 Found", b"307 Temporary Redirect"])
async def test_a_redirect_is_passed_on_and_never_followed(status: bytes) -> None:
    answer = b"HTTP/1.1 %b\r\nLocation: https://elsewhere.example/api/payout/\r\nContent-Length: 0\r\n\r\n" % status
    async with localpayment(saying(answer)) as there, sidecar(settings_for(there.url)) as relay:
        got = await said(relay, request("POST", "/api/payout", body=b"{}"))
        assert str(got.status).encode() == status[:3]
        assert got.headers["location"] == "https://elsewhere.example/api/payout/"
        assert there.calls.count(b" HTTP/1.1\r\n") == 1
        assert relay.calls[0]["outcome"] == "answered"


@pytest.mark.parametrize("body", [b"", b"0\r\n\r\n"], ids=["with a length", "in chunks"])
async def test_references_to_localpayments_own_origin_lead_back_to_the_sidecar(body: bytes) -> None:
    framing = b"Transfer-Encoding: chunked" if body else b"Content-Length: 0"
    mine = b""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            lines = (b"HTTP/1.1 201 Created", b"location: %b/api/payout/1?a=b#c" % mine, framing)
            await wire.send(b"\r\n".join((*lines, b"Content-Location: https://elsewhere.example/x", b"", body)))

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        mine = there.url.encode()
        for _ in range(3):
            await caller.send(request("POST", "/api/payout", body=b"{}").replace(b"Connection: close\r\n", b""))
            head = Answered(await caller.until(b"\r\n\r\n"))
            if body:
                await caller.until(body)
            assert head.headers["location"] == "/api/payout/1?a=b#c"
            assert head.headers["content-location"] == "https://elsewhere.example/x"


async def test_compressed_bodies_cross_in_both_directions_as_they_are() -> None:
    packed = gzip.compress(b'{"externalId": "order-1"}' * 20)
    fields = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with localpayment(saying(fields + packed)) as there, sidecar(settings_for(there.url)) as relay:
        got = await said(relay, request("POST", "/api/payout", "Content-Encoding: gzip", body=packed))
        assert (got.body, got.headers["content-encoding"]) == (packed, "gzip")
        assert there.calls.endswith(b"\r\n\r\n" + packed)
        assert b"Content-Encoding: gzip\r\n" in there.calls


async def test_what_names_a_call_crosses_and_what_is_missing_is_made() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        got = await said(relay, request("GET", "/api/resources/banks", "X-Request-Id: mine", f"traceparent: {TRACE}"))
        assert got.headers["x-request-id"] == "mine"
        assert f"traceparent: {TRACE}\r\n".encode() in there.calls
        assert relay.calls[0]["trace_id"] == TRACE.split("-")[1]
        got = await said(relay, request("GET", "/api/resources/banks"))
        made = uuid.UUID(got.headers["x-request-id"])
        assert (made.version, relay.calls[1]["request_id"]) == (7, str(made))
        assert f"X-Request-Id: {made}\r\n".encode() in there.calls


async def test_both_directions_say_who_stood_between() -> None:
    async with localpayment(saying(HELLO.replace(b"OK\r\n", b"OK\r\nVia: 1.1 cdn\r\n"))) as there:
        async with sidecar(settings_for(there.url)) as relay:
            got = await said(relay, request("GET", "/api/resources/banks", "Via: 1.1 mesh"))
        assert b"Via: 1.1 mesh\r\n" in there.calls
        assert b"Via: 1.1 localpayment-proxy\r\n" in there.calls
        assert [line for line in got.raw.split(b"\r\n") if line.startswith(b"Via")] == [
            b"Via: 1.1 cdn",
            b"Via: 1.1 localpayment-proxy",
        ]


async def test_an_answer_tells_who_took_how_long_only_when_the_operator_wants_it() -> None:
    async def slow(wire: Wire) -> None:
        while True:
            await wire.request()
            await asyncio.sleep(0.1)  # the time that is told
            await wire.send(HELLO.replace(b"OK\r\n", b"OK\r\nServer-Timing: db;dur=7\r\n"))

    async with localpayment(slow) as there:
        async with sidecar(settings_for(there.url)) as relay:
            plain = await said(relay, request("GET", "/api/resources/banks"))
        async with sidecar(settings_for(there.url, server_timing=True)) as relay:
            timed = await said(relay, request("POST", "/api/payout", body=b"{}"))
    assert plain.raw.count(b"Server-Timing") == 1
    found = re.search(rb"Server-Timing: own;dur=([\d.]+), localpayment;dur=([\d.]+)\r\n", timed.raw)
    assert found is not None
    assert float(found[1]) < float(found[2])
    assert 100 <= float(found[2]) < 5000
    assert b"Server-Timing: db;dur=7\r\n" in timed.raw


@pytest.mark.parametrize(
    ("method", "target", "attempt", "told"),
    [
        ("POST", "/api/payout", "2", 2),
        ("PATCH", "/api/payin/order-1/refund", "3", 3),
        ("POST", "/api/payout", "1", None),
        ("POST", "/api/payout", "many", None),
        ("GET", "/api/resources/banks", "2", None),
    ],
)
async def test_what_a_mesh_repeats_is_told_and_passed_on(
    method: str, target: str, attempt: str, told: int | None
) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        got = await said(relay, request(method, target, f"x-envoy-attempt-count: {attempt}", "X-Request-Id: mine"))
        assert got.status == 200
        assert f"x-envoy-attempt-count: {attempt}\r\n".encode() in there.calls
        lines = relay.lines("request.repeated_by_mesh")
        operation = relay.calls[0]["operation"]
        assert [(line["request_id"], line["operation"], line["mesh_attempt"]) for line in lines] == (
            [] if told is None else [("mine", operation, told)]
        )
        assert relay.value("mesh_repeats_total", operation=operation) == (0 if told is None else 1)


@pytest.mark.parametrize(("changes", "read"), [({}, True), ({"check_from_body": False}, False)], ids=["default", "off"])
@pytest.mark.parametrize("target", ["/api/payin", "/api/payout"])
async def test_the_read_that_settles_an_unknown_outcome_is_named_from_a_body_unless_that_is_off(
    target: str, *, changes: dict[str, bool], read: bool
) -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        wire.cut()

    body = b'{"amount": 1, "externalId": "order/1"}'
    async with localpayment(script) as there, sidecar(settings_for(there.url, **changes)) as relay:
        problem = (await said(relay, request("POST", target, body=body))).problem
        assert (problem["status"], problem["outcome"]) == (502, "unknown")
        assert problem.get("check") == ("/api/transactions/order%2F1/status" if read else None)
        assert "order" not in relay.text_of_log


async def test_an_answer_of_our_own_to_head_is_a_head() -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        got = await said(relay, request("HEAD", "/api/token/"))
        assert (got.status, got.body) == (403, b"")
        assert int(got.headers["content-length"]) > 0


async def test_a_read_over_a_stale_connection_is_sent_again_and_a_caller_sees_nothing_of_it() -> None:
    async def once(wire: Wire) -> None:
        await wire.request()
        await wire.send(HELLO)
        await wire.request()
        wire.cut()

    async with localpayment(once) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
        for _ in range(4):
            await caller.send(request("GET", "/api/resources/banks").replace(b"Connection: close\r\n", b""))
            assert (await caller.one()).status == 200
        assert relay.value("resends_total", reason="disconnected") == 3
        assert len(there.wires) == 4


async def test_a_read_that_met_a_stale_connection_does_not_meet_another_one_as_old() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        if len(there.wires) > 2:
            await wire.send(HELLO)
            return
        asked.append(wire)
        if len(asked) == 2:
            both.set()
        await both.wait()  # so that each has a connection of its own
        await wire.send(HELLO)
        await wire.request()
        wire.cut()

    asked: list[Wire] = []
    both = asyncio.Event()
    read = request("GET", "/api/resources/banks")
    async with localpayment(script) as there, sidecar(settings_for(there.url, effects_idle=0.0)) as relay:
        await asyncio.gather(said(relay, read), said(relay, read))
        assert (await said(relay, read)).status == 200
        assert relay.value("resends_total", reason="disconnected") == 1
        assert len(there.wires) == 3


async def test_a_defect_of_our_own_is_told_and_promises_nothing() -> None:
    class Broken:
        def send_at_once(self, *_: object) -> None:
            message = "hush-hush"
            raise ZeroDivisionError(message)

    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        data_plane = relay.sidecar.relay
        data_plane.attempts = Broken()  # type: ignore[assignment]  # made on purpose
        got = await said(relay, request("POST", "/api/payout", body=b"{}"))
        assert (got.status, got.problem["code"], got.problem["outcome"]) == (500, "internal_error", "unknown")
        assert relay.lines("request.failed")[0]["exception"] == "ZeroDivisionError"
        assert "hush-hush" not in relay.text_of_log
        assert relay.value("in_flight_requests") == 0
