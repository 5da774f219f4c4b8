"""Secrets and personal data are sent through every path, errors above all; none may be found where operators look."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
import pytest

from proxy.config import EnvironmentSource, LedgerFile, Origin
from proxy.config.addresses import Collector as Endpoint
from proxy.secret import Secret
from tests.support.collector import Collector, collecting
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CANARY = "canary"
ORDER = "canary-order"  # the merchant's own id, which the ledger alone may hold
CARD = "4111111111111111"
PASSWORD = 'canary-password-ä"\\'
KEY = b"k" * 32
TOKENS = {
    kind: jwt.encode({"exp": int(time.time()) + 3600, "sub": f"canary-{kind}"}, KEY) for kind in ("access", "refresh")
}
PERSON = {
    "externalId": ORDER,
    "amount": 10,
    "card": {"number": CARD, "cvv": "canary-cvv", "name": "Canary Person"},
    "beneficiary": {"account": "canary-account", "document": "canary-document", "email": "canary@example.com"},
}
QUERY = f"?name=canary-name&card={CARD}"
# Every marker, and every part of what must never be seen: a signature alone would be worth nothing, but is a symptom.
FORBIDDEN = (CANARY, CARD, "Canary Person", *(part for token in TOKENS.values() for part in token.split(".")[1:]))

TRACE = {
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "vendor=canary",
    "baggage": f"user=canary,card={CARD}",
}

JSON = "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
# What Localpayment answers; {said} is all that it was sent, the credential included, {line} the same on one line.
UPSTREAM_ANSWERS = {
    "echo": None,
    "status": None,
    "reason": "HTTP/1.1 200 {line}\r\nContent-Length: 0\r\n\r\n",
    "status line": "{line}\r\n\r\n",
    "version": "HTTP/9.{line} 200 OK\r\n\r\n",
    "field": "HTTP/1.1 200 OK\r\nX Canary: {line}\r\n\r\n",
    "field value": "HTTP/1.1 200 OK\r\nX-Canary: {line}\r\nContent-Length: 0\r\n\r\n",
    "length": "HTTP/1.1 200 OK\r\nContent-Length: {line}\r\n\r\n",
    "chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{line}\r\n",
    "cut": "HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n{said}",
    "redirect": "HTTP/1.1 302 Found\r\nLocation: https://example/{line}\r\nContent-Length: 0\r\n\r\n",
    "challenge": 'HTTP/1.1 401 {line}\r\nWWW-Authenticate: Bearer realm="{line}"\r\nContent-Length: 0\r\n\r\n',
    "nothing": "",
}


class Parrot:
    """An origin that answers with all that it was told; `mode` says how, `token_mode` the same of token calls."""

    def __init__(self) -> None:
        self.mode = "echo"
        self.token_mode = "granted"
        self.status = 200
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
                )
                said = (head + await reader.readexactly(length)).decode("latin-1")
                token_call = b" /api/token/" in head.split(b"\r\n")[0]
                mode = self.token_mode if token_call else self.mode
                writer.write(self.answer(mode, said))
                await writer.drain()
                if mode not in {"echo", "status", "granted"}:
                    break
        writer.close()

    def answer(self, mode: str, said: str) -> bytes:
        if mode == "granted":
            return self.as_json(200, TOKENS)
        template = UPSTREAM_ANSWERS[mode]
        if template is None:
            return self.as_json(200 if mode == "echo" else self.status, {"detail": said, **TOKENS, "code": said})
        line = " ".join(said.split())
        return template.replace("{line}", line).replace("{said}", said).encode("latin-1")

    def as_json(self, status: int, content: object) -> bytes:
        body = json.dumps(content).encode()
        return JSON.format(status=status, length=len(body)).encode() + body


@pytest.fixture
async def parrot() -> AsyncIterator[Parrot]:
    origin = Parrot()
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    origin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield origin


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as receiver:
        yield receiver


@pytest.fixture(params=["json", "console"])
async def relay(request: Any, parrot: Parrot, collector: Collector, tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "key").write_text("k" * 32)
    (tmp_path / "fields").write_text("Authorization: Bearer canary-of-the-collector\nX-Tenant: canary-tenant\n")
    settings = settings_for(
        parrot.url,
        credentials=EnvironmentSource(Secret("canary-username"), Secret(PASSWORD)),
        log_format=request.param,
        audit_log=tmp_path / "audit.jsonl",
        audit_key_file=tmp_path / "key",
        ledger=LedgerFile(tmp_path / "ledger.db"),
        otel_endpoint=Endpoint(Origin("127.0.0.1", int(collector.url.rpartition(":")[2]), tls=False)),
        otel_headers_file=tmp_path / "fields",
        response_timeout=0.5,
        idle_timeout=0.5,
        header_timeout=1.0,
        token_wait=0.3,
    )
    async with sidecar(settings) as running:
        yield running


class Sinks:
    """Everything that an operator, or whoever gets at the operator's tools, may read."""

    def __init__(
        self, relay: Running, audit: Path, capture: pytest.CaptureFixture[str], collector: Collector | None = None
    ) -> None:
        self._relay = relay
        self._audit = audit
        self._collector = collector
        self._capture = capture
        self.own_answers: list[str] = []

    async def found(self) -> list[str]:
        """Which marker stands where."""
        open_metrics = {"Accept": "application/openmetrics-text; version=1.0.0"}
        texts = {
            "log": self._relay.text_of_log,
            "metrics": (await self._relay.admin("/metrics"))[1],
            "open metrics": (await self._relay.admin("/metrics", headers=open_metrics))[1],
            "status": (await self._relay.admin("/status"))[1],
            "page": (await self._relay.admin("/status", headers={"Accept": "text/html"}))[1],
            "audit": await asyncio.to_thread(self._audit.read_text),
            "ledger": (await asyncio.to_thread(ledger_bytes, self._audit.parent)).replace(ORDER, ""),
            "output": "".join(self._capture.readouterr()),
            "own answers": "".join(self.own_answers),
            "traces": await self._traced(),
        }
        return [f"{marker[:6]}… in {place}" for place, text in texts.items() for marker in FORBIDDEN if marker in text]

    async def _traced(self) -> str:
        """All that the collector was sent, the last span included."""
        traces = self._relay.sidecar.observers.traces
        if self._collector is None or traces is None:
            return ""
        assert await asyncio.to_thread(traces.close, 10.0)
        return self._collector.raw.decode("latin-1")


def ledger_bytes(folder: Path) -> str:
    """All that stands in the ledger's file, its WAL and its index."""
    return "".join(path.read_bytes().decode("latin-1") for path in folder.glob("ledger.db*"))


def ledger_modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.glob("ledger.db*")}


@pytest.fixture
def sinks(relay: Running, collector: Collector, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Sinks:
    return Sinks(relay, tmp_path / "audit.jsonl", capfd, collector)


async def call(relay: Running, sinks: Sinks, method: str, path: str, **options: Any) -> None:
    """Make a call that holds all canaries; keep what the sidecar itself answered."""
    headers = {"Authorization": f"Bearer {TOKENS['access']}", "Cookie": "canary=1", "X-Canary": CARD, **TRACE}
    with contextlib.suppress(aiohttp.ClientError):
        url = relay.url + path + QUERY
        async with relay.session.request(method, url, headers=headers, allow_redirects=False, **options) as answer:
            body = await answer.read()
            if answer.content_type == "application/problem+json":
                problem = json.loads(body)
                problem.pop("check", None)  # It names the call's own id, to the caller alone.
                sinks.own_answers.append(f"{answer.reason}{answer.headers}{json.dumps(problem, ensure_ascii=False)}")


@pytest.mark.parametrize("mode", UPSTREAM_ANSWERS)
async def test_whatever_localpayment_answers(
    relay: Running, parrot: Parrot, collector: Collector, sinks: Sinks, mode: str
) -> None:
    parrot.mode = mode
    for status in (200, 400, 401, 403, 409, 500) if mode == "status" else (200,):
        parrot.status = status
        await call(relay, sinks, "POST", "/api/payout", json=PERSON)
        await call(relay, sinks, "PATCH", "/api/payin/canary-order/refund", json=PERSON)
        await call(relay, sinks, "GET", "/api/accounts/canary-account/balance")
    assert relay.value("in_flight_requests") == 0
    assert await sinks.found() == []
    assert {span.kind for span in collector.spans} == {"SERVER", "CLIENT"}
    assert {span.state for span in collector.spans} == {""}


@pytest.mark.parametrize("mode", [*UPSTREAM_ANSWERS, "granted"])
async def test_whatever_a_token_endpoint_answers(parrot: Parrot, tmp_path: Path, mode: str, capfd: Any) -> None:
    settings = settings_for(
        parrot.url,
        credentials=EnvironmentSource(Secret("canary-username"), Secret(PASSWORD)),
        audit_log=tmp_path / "audit.jsonl",
        token_wait=0.3,
        token_timeout=0.3,
    )
    parrot.token_mode = mode
    for status in (400, 401, 403, 429, 500) if mode == "status" else (200,):
        parrot.status = status
        async with sidecar(settings, ready=False) as relay:
            sinks = Sinks(relay, tmp_path / "audit.jsonl", capfd)
            await call(relay, sinks, "POST", "/api/payout", json=PERSON)
            async with asyncio.timeout(10):
                while '"event":"token.' not in relay.text_of_log:  # noqa: ASYNC110 - the keeper logs when it is done
                    await asyncio.sleep(0.01)
            assert await sinks.found() == []


REFUSED = (
    f"GET /api/%2e%2e/canary{QUERY} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    f"GET /api//canary/{CARD} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    f"GET http://canary:canary@canary/{CARD} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    f"POST /api/token/{QUERY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\ncanary",
    f"GET /canary HTTP/1.1\r\nHost: canary-{CARD}.example\r\n\r\n",
    f"GET /canary HTTP/1.1\r\nHost: localhost\r\nOrigin: https://canary/{CARD}\r\n\r\n",
    "TRACE /canary HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer canary\r\n\r\n",
    "canary /canary HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "CANARY /canary HTTP/1.1\r\nHost: localhost\r\n\r\n",
    f"GET /canary HTTP/1.1\r\nHost: localhost\r\nX-Canary {CARD}\r\n\r\n",
    f"GET /canary HTTP/1.1\r\nHost: localhost\r\nX Canary: {CARD}\r\n\r\n",
    "GET /canary HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer canary\x00\r\n\r\n",
    "GET /canary HTTP/canary\r\nHost: localhost\r\n\r\n",
    "POST /canary HTTP/1.1\r\nHost: localhost\r\nContent-Length: canary\r\n\r\n",
    "POST /canary HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: canary\r\n\r\ncanary",
    "POST /canary HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n",
    "POST /canary HTTP/1.1\r\nHost: localhost\r\nExpect: canary\r\nContent-Length: 6\r\n\r\ncanary",
    f"GET /canary HTTP/1.1\r\nHost: localhost\r\nX-Canary: {'canary' * 4000}\r\n\r\n",
    f"GET /{'canary' * 4000} HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /canary HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: canary\r\n\r\n",
    f"{CARD} canary \xff\xfe\r\n\r\n",
    "GET /canary HTTP/1.1\r\nHost: localhost\r\nX-Canary: slow",
    f"POST /api/payout{QUERY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{CARD}",
    f"GET /api/payin HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {CARD}\r\n\r\n",
)


@pytest.mark.parametrize("request_text", REFUSED, ids=range(len(REFUSED)))
async def test_whatever_a_caller_sends_wrongly(relay: Running, sinks: Sinks, request_text: str) -> None:
    answer = await relay.raw(request_text.encode("latin-1"))
    if b"application/problem+json" in answer and f"X-Request-Id: {CARD}" not in request_text:
        sinks.own_answers.append(answer.decode("latin-1"))
    assert await sinks.found() == []


@pytest.mark.parametrize("request_text", REFUSED, ids=range(len(REFUSED)))
async def test_whatever_is_sent_wrongly_to_the_admin_listener(relay: Running, sinks: Sinks, request_text: str) -> None:
    port = int(relay.sidecar.admin_url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_text.encode("latin-1"))
    writer.write_eof()
    async with asyncio.timeout(20):
        await reader.read()
    writer.close()
    assert await sinks.found() == []


async def test_a_defect_of_ours_whose_text_quotes_a_call(
    relay: Running, sinks: Sinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        message = f"{PASSWORD} {CARD} {TOKENS['access']}"
        raise RuntimeError(message)

    monkeypatch.setattr(relay.sidecar.relay.judge, "admit", fails)
    await call(relay, sinks, "POST", "/api/payout", json=PERSON)
    assert relay.value("refusals_total", code="internal_error") == 1
    assert sinks.own_answers
    assert await sinks.found() == []


async def test_a_line_that_a_mistake_made_is_masked_before_it_is_written(relay: Running, sinks: Sinks) -> None:
    basic = base64.b64encode(b"user:canary").decode()
    relay.sidecar.logger.error("mistake", body=f"{PASSWORD} {json.dumps({'password': PASSWORD})} {TOKENS['refresh']}")
    relay.sidecar.logger.error("mistake", header=f"Bearer {TOKENS['access']} {CARD}", other=basic)
    assert await sinks.found() == []


async def test_the_audit_stream_finds_a_payment_by_the_hash_of_its_id_alone(
    relay: Running, sinks: Sinks, tmp_path: Path
) -> None:
    await call(relay, sinks, "POST", "/api/payout", json=PERSON)
    await call(relay, sinks, "PATCH", "/api/payin/canary-order/refund", json=PERSON)
    await call(relay, sinks, "GET", "/api/accounts/canary-account/balance")
    async with asyncio.timeout(10):
        while (tmp_path / "audit.jsonl").read_text().count("\n") < 2:  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0.01)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["operation"] for line in lines] == ["create_payout", "refund_payin"]
    assert lines[0]["external_id_hmac"] == lines[1]["external_id_hmac"]
    assert len(lines[0]["external_id_hmac"]) == 64
    assert await sinks.found() == []


async def test_the_ledger_holds_the_external_id_and_nothing_else_of_a_call(
    relay: Running, sinks: Sinks, tmp_path: Path
) -> None:
    await call(relay, sinks, "POST", "/api/payout", json=PERSON)
    await call(relay, sinks, "PATCH", f"/api/payin/{ORDER}/refund", json=PERSON)
    assert ORDER in await asyncio.to_thread(ledger_bytes, tmp_path)
    assert await sinks.found() == []
    assert await asyncio.to_thread(ledger_modes, tmp_path) == {0o600}
