"""What gets as far as the policy: hosts, pages, a field that must be there, and no more connections than may be."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import UnixAddress
from proxy.config.addresses import RequiredHeader
from proxy.relay.request.request_line import WrongProtocol
from proxy.relay.server.lingering import MOST_LINGERING
from tests.support.callers import Certificates, on_socket
from tests.support.origins import HELLO, Caller, calling, greeting, localpayment, request, said, until
from tests.support.owned_clock import OwnedClock
from tests.support.sidecars import BOUND, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.origins import Localpayment
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

BALANCE = "/api/accounts/032.840.00000001/balance"
FIELD = RequiredHeader("X-Internal", "yes")


@pytest.fixture
async def there() -> AsyncIterator[Localpayment]:
    async with localpayment(greeting) as origin:
        yield origin


# A field that must be there


@pytest.mark.parametrize(
    "fields", [[], ["X-Internal: no"], ["X-Internal: YES"], ["X-Internal: yes"] * 2, ["X-Internals: yes"]]
)
async def test_without_the_required_field_nothing_is_sent(there: Localpayment, fields: list[str]) -> None:
    async with sidecar(settings_for(there.url, required_header=FIELD)) as relay:
        answer = await said(relay, request("GET", BALANCE, *fields))
        assert (answer.status, answer.problem["code"], answer.problem["outcome"]) == (
            412,
            "header_required",
            "rejected",
        )
        assert b"internal" not in answer.raw.lower()
        assert there.calls == b""


async def test_the_required_field_lets_a_call_pass_and_stays_behind(there: Localpayment) -> None:
    async with sidecar(settings_for(there.url, required_header=FIELD)) as relay:
        answer = await said(relay, request("GET", BALANCE, "x-internal: yes", "X-Capture: true"))
        assert answer.status == 200
        assert b"internal" not in there.calls.lower()
        assert b"X-Capture: true" in there.calls


# Pages and hosts


async def test_a_page_is_refused_unless_browsers_are_allowed(there: Localpayment) -> None:
    page = request("GET", BALANCE, "Origin: https://shop.example", "Sec-Fetch-Site: cross-site")
    async with sidecar(settings_for(there.url)) as relay:
        assert (await said(relay, page)).problem["code"] == "browser_forbidden"
        assert there.calls == b""
    async with sidecar(settings_for(there.url, allow_browsers=True)) as relay:
        answer = await said(relay, page)
        assert answer.status == 200
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert relay.value("unsafe_option_enabled", option="browsers_allowed") == 1


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        (None, "localhost", 200),
        (None, "api.stage.localpayment.com", 200),
        (None, "sidecar:99", 200),
        (None, "two hosts", 400),
        ({"sidecar"}, "localhost", 200),
        ({"sidecar"}, "sidecar:1", 200),
        ({"sidecar"}, "evil.example", 403),
    ],
)
async def test_on_a_socket_file_any_host_is_right_unless_hosts_are_named(
    there: Localpayment, tmp_path: Path, allowed: set[str] | None, host: str, status: int
) -> None:
    path = tmp_path / "proxy.sock"
    hosts = None if allowed is None else frozenset(allowed)
    async with (
        sidecar(settings_for(there.url, listen=UnixAddress(path), allowed_hosts=hosts)),
        on_socket(path) as session,
        session.get(BALANCE, headers={"Host": host}) as answer,
    ):
        assert answer.status == status


# Other protocols


TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
OTHERS = {"tls": TLS_HELLO, "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}


@pytest.mark.parametrize("came", OTHERS)
async def test_another_protocol_is_named_in_the_answer_and_once_a_minute_in_the_log(
    there: Localpayment, came: str
) -> None:
    clock = OwnedClock()
    async with sidecar(settings_for(there.url), clock=clock) as relay:
        for _ in range(20):
            answer = await said(relay, OTHERS[came])
            assert (answer.status, answer.problem["code"]) == (400, "bad_request")
            assert WrongProtocol(came).fix == answer.problem["detail"]
        (line,) = relay.lines("caller.wrong_protocol")
        assert (line["came"], line["fix"], line["level"]) == (came, WrongProtocol(came).fix, "warning")
        clock.jump(61.0)
        await said(relay, OTHERS[came])
        assert len(relay.lines("caller.wrong_protocol")) == 2
        assert there.calls == b""


async def test_plain_http_to_a_listener_of_tls_is_named_in_the_log(there: Localpayment, tmp_path: Path) -> None:
    async with sidecar(settings_for(there.url, **Certificates(tmp_path).settings)) as relay:
        for _ in range(3):
            reader, writer = await relay.connection()
            writer.write(request("GET", BALANCE))
            async with asyncio.timeout(BOUND):
                assert not (await reader.read()).startswith(b"HTTP")
            writer.close()
        (line,) = relay.lines("caller.wrong_protocol")
        assert (line["came"], "https://" in line["fix"]) == ("plain_http", True)
        assert relay.value("caller_handshakes_refused_total", cause="plain_http") == 3


async def test_a_target_in_absolute_form_is_taken_over_tls_by_its_own_scheme(
    there: Localpayment, tmp_path: Path
) -> None:
    certificates = Certificates(tmp_path)
    async with sidecar(settings_for(there.url, **certificates.settings)) as relay:
        host, port = relay.url.removeprefix("https://").split(":")
        for target, status in ((f"https://localhost{BALANCE}", 200), (f"http://localhost{BALANCE}", 400)):
            reader, writer = await asyncio.open_connection(
                host, int(port), ssl=certificates.client(), server_hostname=host
            )
            writer.write(request("GET", target))
            async with asyncio.timeout(BOUND):
                assert (await Caller(reader, writer).one()).status == status
            writer.close()
        assert there.calls.count(f"GET {BALANCE} HTTP/1.1\r\n".encode()) == 1


# Connections


class Slow:
    """An origin that answers payins only when it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        while True:
            head = await wire.request()
            if b"/api/payin " in head:
                await self.go.wait()
            await wire.send(HELLO)


async def busy(relay: Running, there: Localpayment, stack: contextlib.AsyncExitStack, count: int) -> list[Caller]:
    """Open connections on which a call is under way."""
    callers = [await stack.enter_async_context(calling(relay)) for _ in range(count)]
    for caller in callers:
        await caller.send(request("POST", "/api/payin", body=b"{}").replace(b"Connection: close\r\n", b""))
    await until(lambda: there.calls.count(b"/api/payin ") == count)
    return callers


async def test_a_connection_too_many_is_told_so_at_once_and_closed() -> None:
    slow = Slow()
    async with localpayment(slow) as there, contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings_for(there.url, max_connections=3)))
        first, *others = await busy(relay, there, stack, 3)
        async with calling(relay) as surplus:
            answer = await surplus.rest()
        assert (answer.status, answer.problem["code"], answer.problem["outcome"]) == (503, "overloaded", "not_sent")
        assert answer.headers["connection"] == "close"
        assert "PROXY_MAX_CONNECTIONS (3)" in str(answer.problem["detail"])
        async with calling(relay) as eager:
            await eager.send(request("POST", "/api/payout", body=b"x" * 100_000))
            assert (await eager.rest()).status == 503, "what a caller sends does not keep it from reading its answer"
        assert b"/api/payout" not in there.calls
        assert relay.value("refusals_total", code="overloaded") == 2

        slow.go.set()
        assert (await first.one()).status == 200, "those that are there go on"
        first.leave()
        assert await until_taken(relay) == 200
        assert [(await other.one()).status for other in others] == [200, 200]


async def test_where_open_files_are_few_a_connection_too_many_is_told_so() -> None:
    async with localpayment(Slow()) as there, contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings_for(there.url), most_connections=1))
        await busy(relay, there, stack, 1)
        async with calling(relay) as surplus:
            answer = await surplus.rest()
    assert "the limit of open files (ulimit -n), or of memory, (1)" in str(answer.problem["detail"])


async def test_when_connections_are_full_the_longest_idle_one_ends_and_none_with_a_call() -> None:
    slow = Slow()
    async with localpayment(slow) as there, contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings_for(there.url, max_connections=3)))
        (calls,) = await busy(relay, there, stack, 1)
        idle, idle_for_less = [await stack.enter_async_context(calling(relay)) for _ in range(2)]
        await until(lambda: relay.value("caller_connections", listener="data") == 3)
        assert (await said(relay, request("GET", BALANCE))).status == 200
        assert (await idle.rest()).raw == b""
        await idle_for_less.send(request("GET", BALANCE))
        assert (await idle_for_less.rest()).status == 200
        slow.go.set()
        assert (await calls.one()).status == 200
        assert relay.value("data_connections_ended_total") == 1


@pytest.mark.parametrize("sent", [request("GET", BALANCE), request("POST", "/api/payout", body=b"x" * 5000)])
async def test_when_connections_are_full_one_that_still_sends_its_request_makes_room(sent: bytes) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, max_connections=1)) as relay:
        async with calling(relay) as slow:
            await slow.send(sent[:-1])
            await until(lambda: relay.sidecar.memory.used)
            assert (await said(relay, request("GET", BALANCE))).status == 200
            answer = await slow.rest()
        assert (answer.status, answer.problem["code"], answer.problem["outcome"]) == (503, "overloaded", "not_sent")
        assert b"/api/payout" not in there.calls
        await until(lambda: not relay.sidecar.memory.used)


async def until_taken(relay: Running) -> int:
    """Call again until a place is free: the sidecar learns of a caller's end by itself."""
    async with asyncio.timeout(BOUND):
        while (answer := await said(relay, request("GET", BALANCE))).status == 503:
            pass
    return answer.status


async def test_a_flood_of_connections_is_closed_without_waiting_for_its_goodbyes() -> None:
    async with localpayment(Slow()) as there, contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(sidecar(settings_for(there.url, max_connections=1)))
        await busy(relay, there, stack, 1)
        flood = [await stack.enter_async_context(calling(relay)) for _ in range(MOST_LINGERING + 20)]
        answers = await asyncio.gather(*(caller.rest() for caller in flood))
        assert {answer.status for answer in answers} == {503}
        assert 0 < len(relay.sidecar.listener.lingering) <= MOST_LINGERING
        assert (await relay.admin("/livez"))[0] == 200
        for caller in flood:
            caller.leave()
        assert relay.value("refusals_total", code="overloaded") == len(flood)


async def test_a_connection_too_many_is_told_so_over_tls(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    settings: dict[str, Any] = {**certificates.settings, "max_connections": 1}
    async with localpayment(Slow()) as there, sidecar(settings_for(there.url, **settings)) as relay:
        host, port = relay.url.removeprefix("https://").split(":")
        tls = certificates.client()

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(host, int(port), ssl=tls, server_hostname=host)

        _, writer = await connect()
        writer.write(request("POST", "/api/payin", body=b"{}"))
        await until(lambda: there.calls)
        surplus, other = await connect()
        async with asyncio.timeout(BOUND):
            head, _, body = (await surplus.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert json.loads(body)["code"] == "overloaded"
        writer.close()
        other.close()
