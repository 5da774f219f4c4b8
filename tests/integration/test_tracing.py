"""A call becomes spans at a real receiver, hangs together with its caller's and Localpayment's, and tells no more."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import Origin, Settings
from proxy.config.addresses import Collector as Endpoint
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.collector import BOUND, Collector, Received, collecting
from tests.support.origins import greeting, localpayment
from tests.support.processes import cleaned, running
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=opaque"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-00", "tracestate": "vendor=opaque"}
BALANCE = "/api/accounts/032.840.00000001/balance?name=Somebody"
SENT = re.compile(rb"^traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})\r$", re.MULTILINE)


def endpoint(collector: Collector, path: str = "") -> Endpoint:
    port = int(collector.url.rpartition(":")[2])
    return Endpoint(Origin("127.0.0.1", port, tls=False), path)


def settings_to(collector: Collector, url: str, **changes: Any) -> Settings:
    return settings_for(url, **{"otel_endpoint": endpoint(collector), **changes})


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as receiver:
        yield receiver


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as there:
        yield there


@pytest.fixture
async def relay(collector: Collector, simulator: Simulator) -> AsyncIterator[Running]:
    async with sidecar(settings_to(collector, simulator.url)) as there:
        yield there


def sides(spans: list[Received]) -> tuple[Received, list[Received]]:
    """The one span of what was served, and those of what was sent."""
    (server,) = (span for span in spans if span.kind == "SERVER")
    return server, [span for span in spans if span.kind == "CLIENT"]


async def test_a_call_is_two_spans_between_its_callers_and_localpayments(collector: Collector) -> None:
    before = time.time_ns()
    async with localpayment(greeting) as there, sidecar(settings_to(collector, there.url)) as relay:
        assert (await relay.get(BALANCE, headers=SAMPLED))[0] == 200
        server, (client,) = sides(await collector.until(2))
        sent = SENT.findall(there.calls)
    assert [span.trace_id for span in (server, client)] == [TRACE, TRACE]
    assert (server.parent_id, client.parent_id) == (PARENT, server.span_id)
    assert sent == [(TRACE.encode(), client.span_id.encode(), b"01")]
    assert there.calls.count(b"tracestate: vendor=opaque\r\n") == 1
    assert before <= server.started <= client.started < client.ended <= server.ended <= time.time_ns()
    assert {server.name, client.name} == {"get_balance"}
    assert (server.failed, client.failed) == (False, False)
    assert server.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "server.address": "127.0.0.1",
        "localpayment.outcome": "answered",
    }
    assert client.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "server.address": "localhost",
        "server.port": there.port,
    }


async def test_spans_say_who_tells_them(collector: Collector, relay: Running) -> None:
    await relay.get(BALANCE)
    server, _ = sides(await collector.until(2))
    assert {name: server.resource[name] for name in ("service.name", "deployment.environment.name")} == {
        "service.name": "localpayment-proxy",
        "deployment.environment.name": "sandbox",
    }
    assert {"service.version", "service.instance.id"} < set(server.resource)
    assert server.scope == "localpayment-proxy https://opentelemetry.io/schemas/1.23.0"


async def test_what_the_platform_says_of_the_service_wins(
    collector: Collector, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "payouts-proxy")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=payouts-1")
    async with sidecar(settings_to(collector, simulator.url)) as relay:
        await relay.get(BALANCE)
        server, _ = sides(await collector.until(2))
    assert (server.resource["service.name"], server.resource["k8s.pod.name"]) == ("payouts-proxy", "payouts-1")


async def test_a_trace_without_a_caller_begins_here_and_stands_in_the_log(collector: Collector) -> None:
    async with localpayment(greeting) as there, sidecar(settings_to(collector, there.url)) as relay:
        await relay.get(BALANCE, headers={"traceparent": "nonsense", "tracestate": "of=nobody"})
        server, (client,) = sides(await collector.until(2))
        ((trace, span, _),) = SENT.findall(there.calls)
        (line,) = relay.calls
    assert server.parent_id == ""
    assert (trace.decode(), span.decode()) == (server.trace_id, client.span_id)
    assert line["trace_id"] == server.trace_id
    assert b"nonsense" not in there.calls
    assert b"tracestate" not in there.calls


async def test_a_caller_that_is_not_sampled_crosses_as_it_came_and_becomes_no_span(collector: Collector) -> None:
    async with localpayment(greeting) as there, sidecar(settings_to(collector, there.url)) as relay:
        await relay.get(BALANCE, headers=UNSAMPLED)
        await relay.get(BALANCE, headers=SAMPLED)
        await collector.until(2)
    assert len(collector.spans) == 2
    assert f"traceparent: {UNSAMPLED['traceparent']}\r\n".encode() in there.calls
    assert [line["trace_id"] for line in relay.calls] == [TRACE, TRACE]


@pytest.mark.parametrize("value", [SAMPLED["traceparent"], UNSAMPLED["traceparent"], "nonsense", "01-ab-cd-ef-gh"])
async def test_without_an_endpoint_every_traceparent_crosses_byte_for_byte(value: str) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        await relay.get(BALANCE, headers={"TraceParent": value, "TraceState": "a=1"})
        await relay.get(BALANCE)
    assert there.calls.lower().count(b"traceparent") == 1
    assert f"TraceParent: {value}\r\nTraceState: a=1\r\n".encode() in there.calls


async def test_a_call_that_is_sent_once_more_has_a_span_for_each_attempt(
    collector: Collector, simulator: Simulator, relay: Running
) -> None:
    simulator.revoke("access")
    assert (await relay.get(BALANCE, headers=SAMPLED))[0] == 200
    server, (first, second) = sides(await collector.until(3))
    assert {first.parent_id, second.parent_id} == {server.span_id}
    assert first.span_id != second.span_id
    assert first.ended <= second.started
    assert (first.attributes["http.response.status_code"], first.attributes["error.type"]) == (401, "401")
    assert "http.request.resend_count" not in first.attributes
    assert (second.attributes["http.response.status_code"], second.attributes["http.request.resend_count"]) == (200, 1)
    assert (first.failed, second.failed, server.failed) == (True, False, False)


async def test_a_refusal_of_localpayments_is_its_clients_failure_alone(
    collector: Collector, simulator: Simulator, relay: Running
) -> None:
    simulator.add_fault(Fault(Kind.STATUS, "get_balance", status=403))
    await relay.get(BALANCE, headers=SAMPLED)
    server, (client,) = sides(await collector.until(2))
    assert (client.failed, client.attributes["error.type"]) == (True, "403")
    assert (server.failed, server.attributes["http.response.status_code"]) == (False, 403)
    assert "error.type" not in server.attributes


async def test_an_unknown_outcome_is_told_by_its_code(
    collector: Collector, simulator: Simulator, relay: Running
) -> None:
    simulator.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payout"))
    assert (await relay.post("/api/payout", {"externalId": "order-1"}, headers=SAMPLED))[0] == 502
    server, (client,) = sides(await collector.until(2))
    assert (client.failed, client.attributes["error.type"]) == (True, "upstream_disconnected")
    assert "http.response.status_code" not in client.attributes
    assert (server.failed, server.attributes["error.type"]) == (True, "upstream_disconnected")
    assert (server.attributes["http.response.status_code"], server.attributes["localpayment.outcome"]) == (
        502,
        "unknown",
    )


async def test_a_call_that_is_refused_is_one_span_and_no_failure(collector: Collector, relay: Running) -> None:
    assert (await relay.get("/api/token/", headers=SAMPLED))[0] == 403
    (server,) = await collector.until(1)
    assert (server.kind, server.failed, server.attributes["http.response.status_code"]) == ("SERVER", False, 403)


async def test_header_fields_of_the_file_go_to_the_collector_and_nowhere_else(
    collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "fields").write_text("Authorization: Bearer canary-of-the-collector\n\nX-Scope-OrgID: tenant-7\n")
    async with localpayment(greeting) as there:
        settings = settings_to(
            collector,
            there.url,
            otel_endpoint=endpoint(collector, "/deep/er"),
            otel_headers_file=tmp_path / "fields",
        )
        async with sidecar(settings) as relay:
            await relay.get(BALANCE)
            await collector.until(2)
            relay.sidecar.logger.error("mistake", text="canary-of-the-collector and Bearer canary-of-the-collector")
    post = collector.posts[0]
    assert (post["authorization"], post["x-scope-orgid"]) == ("Bearer canary-of-the-collector", "tenant-7")
    assert b"canary" not in there.calls
    assert "canary" not in relay.text_of_log


async def test_a_collector_that_refuses_is_told_once_counted_and_told_when_it_takes_spans_again(
    collector: Collector, relay: Running
) -> None:
    collector.status = 401
    for number in (1, 2):
        await relay.get(BALANCE)
        await collector.until_posted(number)
        async with asyncio.timeout(BOUND):
            while relay.value("traces_dropped_total") < number:  # noqa: ASYNC110 - a thread counts
                await asyncio.sleep(0.01)
    collector.status = 200
    await relay.get(BALANCE)
    await collector.until(2)
    async with asyncio.timeout(BOUND):
        while not relay.lines("traces.exported_again"):  # noqa: ASYNC110 - a thread writes
            await asyncio.sleep(0.01)
    (failed,) = relay.lines("traces.export_failed")
    assert (failed["reason"], failed["calls"], failed["level"]) == ("the collector answered 401", 1, "warning")
    assert relay.lines("traces.exported_again")[0]["lost"] == 2
    assert relay.lines("library.logged") == []


async def test_a_collector_that_hangs_holds_up_no_call_and_the_end_for_a_moment_only(
    collector: Collector, simulator: Simulator
) -> None:
    collector.open.clear()
    async with sidecar(settings_to(collector, simulator.url)) as relay:
        await relay.get(BALANCE)
        await collector.until_posted(1)
        for _ in range(20):
            assert (await relay.get(BALANCE))[0] == 200
    assert not collector.open.is_set(), "calls were answered and the sidecar ended while the collector hung"
    (cut,) = relay.lines("traces.cut")
    assert cut["seconds"] == 1.0


async def test_a_collector_that_is_not_there_is_a_line_and_nothing_else(simulator: Simulator) -> None:
    async with collecting() as collector:
        settings = settings_to(collector, simulator.url)
    async with sidecar(settings) as relay:
        assert (await relay.get(BALANCE))[0] == 200
    (failed,) = relay.lines("traces.export_failed") or relay.lines("traces.cut")
    assert failed["level"] == "warning"


# As processes

BLOCKED = """
import sys
sys.modules["opentelemetry"] = None
from proxy.__main__ import main
sys.argv = ["localpayment-proxy", *sys.argv[1:]]
sys.exit(main())
"""
UNASKED = """
import sys, proxy.app, proxy.serve, proxy.ops.tracing.exporter, proxy.cli.check.usable_settings, proxy.cli.check.run
print([name for name in sys.modules if name.partition(".")[0] in ("opentelemetry", "requests", "google")])
"""


def environment(simulator: Simulator, collector: Collector) -> dict[str, str]:
    return {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": simulator.url,
        "LOCALPAYMENT_USERNAME": "merchant",
        "LOCALPAYMENT_PASSWORD": "an-invented-password",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        "PROXY_OTEL_ENDPOINT": collector.url,
    }


async def said(script: str, *arguments: str, settings: dict[str, str]) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, *arguments),
        env=cleaned(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("command", ["serve", "check"])
async def test_without_the_extra_the_setting_is_a_mistake_with_its_fix(
    simulator: Simulator, collector: Collector, command: str
) -> None:
    code, out, err = await said(BLOCKED, command, settings=environment(simulator, collector))
    assert code == 78
    assert f"PROXY_OTEL_ENDPOINT={collector.url}" in out + err
    assert "install localpayment-proxy[otel], or remove the setting" in out + err
    assert "Traceback" not in err


async def test_unasked_nothing_of_opentelemetry_is_loaded() -> None:
    assert await said(UNASKED, settings={}) == (0, "[]\n", "")


async def test_the_last_spans_get_out_before_the_process_ends(simulator: Simulator, collector: Collector) -> None:
    async with running("serve", settings=environment(simulator, collector)) as process:
        where = json.loads(await process.says('"sidecar.started"'))
        await process.says('"token.refreshed"')
        reader, writer = await asyncio.open_connection("127.0.0.1", int(where["data"].rpartition(":")[2]))
        writer.write(f"GET {BALANCE} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        async with asyncio.timeout(BOUND):
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        finished = await process.stopped(signal.SIGTERM)
    assert finished.code == 0
    assert finished.err == ""
    assert {span.kind for span in await collector.until(2)} == {"SERVER", "CLIENT"}
    assert "traces.cut" not in finished.out
