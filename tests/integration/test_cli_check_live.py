"""What `check --live` finds on the way to Localpayment, and what it says to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import re
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
import trustme

from proxy.cli.check.findings import Finding, Report, Result
from proxy.cli.check.run import run_checks
from proxy.cli.exits import Exit
from proxy.secret import Secret
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.support.processes import ran

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

NAME, WORD = "the-username", "the-password"
PLAIN_STEPS = ["settings", "secret source", "DNS", "TCP", "TLS", "login", "token lifetime", "clock skew", "read call"]
READ = "list_payment_methods"
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions(username=Secret(NAME), password=Secret(WORD))) as running:
        yield running


def told(origin: str, **more: str) -> dict[str, str]:
    return {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": origin,
        "LOCALPAYMENT_USERNAME": NAME,
        "LOCALPAYMENT_PASSWORD": WORD,
        **more,
    }


async def report(settings: dict[str, str]) -> Report:
    """What the check finds, from a thread with a loop of its own; it holds no secret, whatever happened."""
    found = await asyncio.to_thread(run_checks, settings, live=True, country="ARG")
    for text in (found.as_json(), "\n".join(found.as_lines("utf-8"))):
        assert WORD not in text
        assert NAME not in text
        assert "eyJ" not in text
    return found


def failure(found: Report, step: str, code: Exit) -> Finding:
    """The first failure, which must be of this step, decide the exit code and say what to do."""
    first = next(item for item in found.findings if item.result is Result.FAILED)
    assert (first.step, found.exit_code) == (step, code)
    assert first.advice
    return first


def skipped(found: Report) -> list[str]:
    return [item.step for item in found.findings if item.found.startswith("not tried, because")]


def tls_context(authority: trustme.CA, name: str = "localhost", **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(context)
    return context


@contextlib.asynccontextmanager
async def secured(context: ssl.SSLContext) -> AsyncIterator[str]:
    options = SimulatorOptions(username=Secret(NAME), password=Secret(WORD), ssl_context=context)
    async with Simulator(options) as running:
        yield running.url.replace("127.0.0.1", "localhost")


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


async def test_every_step_of_a_plain_origin_on_this_machine_goes_well(simulator: Simulator) -> None:
    found = await report(told(simulator.url))
    assert [item.step for item in found.findings] == PLAIN_STEPS
    assert found.exit_code is Exit.FINE
    results = {item.step: (item.result, item.found) for item in found.findings}
    assert results.pop("TLS") == (Result.SKIPPED, "a plain http origin, possible on this machine only")
    assert {result for result, _ in results.values()} == {Result.OK}
    assert results["token lifetime"][1] in {"access 5m, refresh 24h", "access 299s, refresh 86399s"}
    assert results["read call"][1] == "GET /api/resources/payment-methods answered 200"
    assert simulator.token_calls == {"password": 1}
    assert simulator.executions(READ) == 1


async def test_the_certificate_is_judged_and_its_end_told(authority: trustme.CA, ca_file: str) -> None:
    ends = NOW + dt.timedelta(days=20, hours=12)
    async with secured(tls_context(authority, not_after=ends)) as origin:
        found = await report(told(origin, PROXY_UPSTREAM_CA_FILE=ca_file))
    assert found.exit_code is Exit.FINE
    told_of_tls = next(item.found for item in found.findings if item.step == "TLS")
    assert told_of_tls == f"TLSv1.3, certificate of localhost valid until {ends:%Y-%m-%d} (20 days)"


async def test_a_dead_port_fails_at_tcp_and_the_rest_is_not_tried() -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        found = await report(told(f"http://127.0.0.1:{dead.getsockname()[1]}"))
    assert "refuses connections" in failure(found, "TCP", Exit.UNAVAILABLE).found
    assert skipped(found) == ["TLS", "login", "token lifetime", "clock skew", "read call"]


async def test_a_port_that_never_answers_is_given_up_in_time() -> None:
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # fills the queue, so that the kernel drops what comes after
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        settings = told(f"http://127.0.0.1:{full.getsockname()[1]}", PROXY_CONNECT_TIMEOUT="100ms")
        found = await report(settings)
    failed = failure(found, "TCP", Exit.UNAVAILABLE)
    assert failed.found.endswith("within PROXY_CONNECT_TIMEOUT (0.1 s)")
    assert "firewall" in failed.advice


async def test_an_address_that_cannot_be_reached_fails_at_tcp() -> None:
    failed = failure(await report(told("https://255.255.255.255")), "TCP", Exit.UNAVAILABLE)
    assert failed.found.startswith("255.255.255.255 port 443 cannot be reached: ")


async def test_a_name_that_means_nothing_fails_at_dns() -> None:
    found = await report(told("https://localpayment.invalid"))
    failed = failure(found, "DNS", Exit.UNAVAILABLE)
    assert failed.found == "the name localpayment.invalid cannot be resolved"
    assert "LOCALPAYMENT_BASE_URL" in failed.advice


@pytest.mark.parametrize(
    ("certificate", "seen", "cure"),
    [
        ({"not_after": NOW - dt.timedelta(days=1)}, "expired", "check this machine's clock first"),
        ({"not_before": NOW + dt.timedelta(days=1)}, "not yet valid", "set this machine's clock"),
        ({"name": "other.test"}, "localhost", "the certificate is for another host"),
    ],
)
async def test_a_certificate_that_does_not_hold_fails_at_tls_with_its_cure(
    authority: trustme.CA, ca_file: str, certificate: Any, seen: str, cure: str
) -> None:
    async with secured(tls_context(authority, **certificate)) as origin:
        found = await report(told(origin, PROXY_UPSTREAM_CA_FILE=ca_file))
    failed = failure(found, "TLS", Exit.UNAVAILABLE)
    assert seen in failed.found
    assert cure in failed.advice
    assert skipped(found) == ["login", "token lifetime", "clock skew", "read call"]


@pytest.mark.parametrize("own", [False, True], ids=["the system's authorities", "another authority"])
async def test_an_authority_that_is_not_trusted_fails_at_tls(
    authority: trustme.CA, tmp_path: Path, *, own: bool
) -> None:
    settings = {}
    if own:
        trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
        settings = {"PROXY_UPSTREAM_CA_FILE": str(tmp_path / "other.pem")}
    async with secured(tls_context(authority)) as origin:
        found = await report(told(origin, **settings))
    assert "PROXY_UPSTREAM_CA_FILE" in failure(found, "TLS", Exit.UNAVAILABLE).advice


async def test_a_port_without_tls_fails_at_tls(simulator: Simulator) -> None:
    found = await report(told(simulator.url.replace("http:", "https:")))
    assert "TLS handshake" in failure(found, "TLS", Exit.UNAVAILABLE).found


async def test_a_handshake_that_hangs_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = f"https://127.0.0.1:{silent.getsockname()[1]}"
        found = await report(told(origin, PROXY_CONNECT_TIMEOUT="100ms"))
    assert failure(found, "TLS", Exit.UNAVAILABLE).found.endswith("within PROXY_CONNECT_TIMEOUT (0.1 s)")


async def test_a_wrong_password_is_told_from_a_missing_permission(simulator: Simulator) -> None:
    found = await report(told(simulator.url, LOCALPAYMENT_USERNAME="another"))
    failed = failure(found, "login", Exit.NO_PERMISSION)
    assert "wrong username or password" in failed.found
    assert "sandbox and production differ" in failed.advice
    assert simulator.token_calls == {"password": 1}, "a login that failed must not be repeated"


@pytest.mark.parametrize(("operation", "step"), [("token", "login"), (READ, "read call")])
async def test_a_403_says_allow_list_wherever_it_comes(simulator: Simulator, operation: str, step: str) -> None:
    simulator.add_fault(Fault(Kind.STATUS, operation, status=403))
    failed = failure(await report(told(simulator.url)), step, Exit.NO_PERMISSION)
    assert "not permitted from here" in failed.found
    assert "allow-list the public address" in failed.advice


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(Kind.STATUS, "token", status=429), Exit.UNAVAILABLE),
        (Fault(Kind.STATUS, "token", status=503), Exit.UNAVAILABLE),
        (Fault(Kind.DROP_AFTER_READ, "token"), Exit.UNAVAILABLE),
        (Fault(Kind.LATENCY, "token"), Exit.UNAVAILABLE),
        (Fault(Kind.STATUS, "token", status=404), Exit.FAILED),
        (Fault(Kind.STATUS, "token", status=200, body="{}"), Exit.FAILED),
        (Fault(Kind.STATUS, "token", status=302), Exit.FAILED),
    ],
    ids=lambda value: "-".join(str(value.as_json()[key]) for key in ("kind",)) if isinstance(value, Fault) else "",
)
async def test_a_login_without_a_token_is_told_by_its_kind(simulator: Simulator, fault: Fault, code: Exit) -> None:
    simulator.add_fault(fault)
    found = await report(told(simulator.url, PROXY_TOKEN_TIMEOUT="200ms"))
    failure(found, "login", code)
    assert skipped(found) == ["token lifetime", "clock skew", "read call"]


async def test_a_login_that_is_not_found_says_first_that_the_origin_is_wrong(simulator: Simulator) -> None:
    simulator.add_fault(Fault(Kind.STATUS, "token", status=404))
    failed = failure(await report(told(simulator.url)), "login", Exit.FAILED)
    assert failed.found.startswith("wrong origin")
    assert "LOCALPAYMENT_BASE_URL" in failed.advice


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(Kind.STATUS, READ, status=401), Exit.NO_PERMISSION),
        (Fault(Kind.STATUS, READ, status=404), Exit.FAILED),
        (Fault(Kind.STATUS, READ, status=301), Exit.FAILED),
        (Fault(Kind.STATUS, READ, status=429), Exit.UNAVAILABLE),
        (Fault(Kind.STATUS, READ, status=502), Exit.UNAVAILABLE),
        (Fault(Kind.DROP_AFTER_READ, READ), Exit.UNAVAILABLE),
        (Fault(Kind.LATENCY, READ), Exit.UNAVAILABLE),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else "",
)
async def test_a_read_call_that_fails_is_told_by_its_kind(simulator: Simulator, fault: Fault, code: Exit) -> None:
    simulator.add_fault(fault)
    failure(await report(told(simulator.url, PROXY_RESPONSE_TIMEOUT="200ms")), "read call", code)


async def test_a_refused_parameter_proves_as_much_as_an_answer(simulator: Simulator) -> None:
    simulator.add_fault(Fault(Kind.STATUS, READ, status=400))
    found = await report(told(simulator.url))
    assert found.exit_code is Exit.FINE
    assert found.findings[-1].found.endswith("answered 400: permitted, but it knows no such --country")


@pytest.mark.parametrize(("offset", "shown"), [(600.0, "10m behind"), (-600.0, "10m ahead")])
async def test_a_clock_that_is_off_is_told_and_the_read_call_made_all_the_same(offset: float, shown: str) -> None:
    options = SimulatorOptions(clock=lambda: time.time() + offset + 0.5)
    async with Simulator(options) as simulator:
        found = await report(told(simulator.url))
    seen = failure(found, "clock skew", Exit.FAILED).found
    assert seen in {f"this machine's clock is {shown}", f"this machine's clock is {shown.replace('10m', '599s')}"}
    assert found.findings[-1].result is Result.OK


SHOWN = [(0.0, "within 2 s of"), (20.0, r"(19|20|21) s behind"), (-20.0, r"(19|20|21) s ahead of")]


@pytest.mark.parametrize(("offset", "shown"), SHOWN)
async def test_a_clock_that_is_near_enough_is_told_without_a_sign(offset: float, shown: str) -> None:
    async with Simulator(SimulatorOptions(clock=lambda: time.time() + offset)) as simulator:
        found = await report(told(simulator.url))
    (clock,) = (finding.found for finding in found.findings if finding.step == "clock skew")
    assert re.fullmatch(f"{shown} Localpayment's", clock)


async def test_tokens_too_short_lived_to_renew_are_told(simulator: Simulator) -> None:
    simulator.change_settings(access_lifetime=20)
    found = await report(told(simulator.url))
    assert "shorter than 30 s" in failure(found, "token lifetime", Exit.FAILED).found
    assert found.findings[-1].result is Result.OK


async def test_a_login_without_a_refresh_token_or_a_date_is_no_failure(simulator: Simulator) -> None:
    claims = {"token_type": "access", "exp": int(time.time()) + 300, "jti": "unknown"}
    body = json.dumps({"access": simulator.tokens.signed(claims)}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        login = (await reader.readuntil(b"\r\n\r\n")).startswith(b"POST /api/token/")
        text = body if login else b"[]"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(text), text))

    async with served(answer) as port:
        found = await report(told(f"http://127.0.0.1:{port}"))
    assert found.exit_code is Exit.FINE
    seen = {item.step: item.found for item in found.findings}
    assert seen["token lifetime"].endswith("no refresh token, so each renewal is a login")
    assert seen["clock skew"] == "the answer to the login had no Date"


async def test_an_answer_that_is_no_http_is_another_server(simulator: Simulator) -> None:
    claims = {"token_type": "access", "exp": int(time.time()) + 300, "jti": "unknown"}
    body = json.dumps({"access": simulator.tokens.signed(claims)}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        login = (await reader.readuntil(b"\r\n\r\n")).startswith(b"POST /api/token/")
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        writer.write(head if login else b"220 mail.example\r\n\r\n")

    async with served(answer) as port:
        found = await report(told(f"http://127.0.0.1:{port}"))
    assert "LOCALPAYMENT_BASE_URL" in failure(found, "read call", Exit.FAILED).advice


@contextlib.asynccontextmanager
async def served(script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A TCP server of one script, whose connections end with the block; gives its port."""
    talks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await script(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*talks)


async def tunnelled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An egress proxy: it opens the tunnel that is asked for."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"Proxy-Authorization: Basic " in head
    port = int(head.split()[1].rpartition(b":")[2])
    there, back = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    await asyncio.gather(pump(reader, back), pump(there, writer))
    with contextlib.suppress(ConnectionError):
        await back.wait_closed()


async def test_an_egress_proxy_is_a_step_of_its_own_and_carries_everything(authority: trustme.CA, ca_file: str) -> None:
    async with secured(tls_context(authority)) as origin, served(tunnelled) as port:
        proxy = f"http://user:proxy-word@localhost:{port}"
        found = await report(told(origin, PROXY_UPSTREAM_CA_FILE=ca_file, PROXY_EGRESS_PROXY=proxy))
    assert found.exit_code is Exit.FINE
    seen = {item.step: item.found for item in found.findings}
    assert seen["egress proxy"] == f"http://localhost:{port} opened a tunnel to {origin.removeprefix('https://')}"
    assert "proxy-word" not in found.as_json()


@pytest.mark.parametrize(
    ("answer", "seen", "cure"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "(407)", "user and password in PROXY_EGRESS_PROXY"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "(status 403)", "allow CONNECT to localpayment.invalid:443"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP answer", "names an HTTP proxy"),
        (b"", "no HTTP answer", "names an HTTP proxy"),
    ],
)
async def test_an_egress_proxy_that_refuses_is_told_by_its_cure(answer: bytes, seen: str, cure: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with served(refuse) as port:
        found = await report(told("https://localpayment.invalid", PROXY_EGRESS_PROXY=f"http://127.0.0.1:{port}"))
    failed = failure(found, "egress proxy", Exit.UNAVAILABLE)
    assert seen in failed.found
    assert cure in failed.advice
    assert skipped(found) == ["TLS", "login", "token lifetime", "clock skew", "read call"]


async def test_an_egress_proxy_that_hangs_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = {"PROXY_EGRESS_PROXY": proxy, "PROXY_CONNECT_TIMEOUT": "100ms"}
        found = await report(told("https://localpayment.invalid", **settings))
    assert failure(found, "egress proxy", Exit.UNAVAILABLE).found.startswith("no answer to CONNECT within")


async def test_a_dead_egress_proxy_is_told_by_its_own_setting() -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{dead.getsockname()[1]}"
        found = await report(told("https://localpayment.invalid", PROXY_EGRESS_PROXY=proxy))
    assert "PROXY_EGRESS_PROXY" in failure(found, "TCP", Exit.UNAVAILABLE).advice


async def test_the_command_prints_a_table_with_a_sign_for_each_step(simulator: Simulator) -> None:
    finished = await ran("check", "--live", settings=told(simulator.url, PYTHONUTF8="1"))
    assert (finished.code, finished.err) == (0, "")
    signs = {line[2:16].strip(): line[0] for line in finished.out.splitlines() if line[:1] in "✓✗-" and line}
    assert signs == {step: "-" if step == "TLS" else "✓" for step in PLAIN_STEPS}
    assert re.search(r"LOCALPAYMENT_PASSWORD +\[redacted\]", finished.out)
    assert WORD not in finished.out


async def test_the_command_prints_one_json_object_if_asked_for(simulator: Simulator) -> None:
    settings = told(simulator.url, LOCALPAYMENT_PASSWORD="another")
    finished = await ran("check", "--live", "--json", settings=settings)
    assert (finished.code, finished.err) == (77, "")
    shown = json.loads(finished.out)
    assert (shown["ok"], shown["exit_code"]) == (False, 77)
    login = next(step for step in shown["steps"] if step["step"] == "login")
    assert login["result"] == "failed"
    assert login["advice"]
    assert login["milliseconds"] > 0
    assert shown["settings"]["LOCALPAYMENT_PASSWORD"] == "[redacted]"


async def test_a_terminal_without_the_signs_gets_words(simulator: Simulator) -> None:
    settings = told(simulator.url, LOCALPAYMENT_PASSWORD="another", PYTHONIOENCODING="ascii")
    finished = await ran("check", "--live", settings=settings)
    assert finished.code == 77
    assert "ok     DNS" in finished.out
    assert "FAILED login" in finished.out
