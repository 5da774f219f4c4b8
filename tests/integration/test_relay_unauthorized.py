"""A 401 from Localpayment: which ones cost a second attempt, which are the caller's answer, and what none may do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from proxy.config.addresses import EgressProxy
from tests.support.held_calls import open_tunnel
from tests.support.origins import HELLO, TOKEN_CALL, calling, hand_out, localpayment, request, said, until
from tests.support.refused_tokens import CHALLENGE, LINE, PAYOUT, STREAM, declined, first
from tests.support.scripted_origin import Wire, origin, server_tls
from tests.support.sidecars import BOUND, settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path

READ = request("GET", "/api/accounts/1/balance")


PROVEN = {
    "a challenge": declined(fields=CHALLENGE),
    "a challenge in another case": declined(fields=b"www-authenticate: BEARER\r\n"),
    "a code of Simple JWT's": declined({"detail": "x", "code": "token_not_valid", "messages": []}),
    "both": declined({"code": "user_inactive"}, CHALLENGE),
    "a challenge over a long text": declined("x" * 100_000, CHALLENGE),
    "a challenge after another": declined(fields=b'WWW-Authenticate: Basic realm="a", Bearer realm="api"\r\n'),
    "a challenge in a second field": declined(fields=b"WWW-Authenticate: Negotiate\r\n" + CHALLENGE),
    "a challenge and its error": declined(fields=b'WWW-Authenticate: Bearer error="invalid_token"\r\n'),
    "a code beside another challenge": declined(
        {"detail": "x", "code": "token_not_valid"}, b"WWW-Authenticate: Basic realm=x\r\n"
    ),
}
UNPROVEN = {
    "no word of tokens": declined({"detail": "not for you"}),
    "another challenge": declined(fields=b"WWW-Authenticate: Basic realm=x\r\n"),
    "a scheme that begins like Bearer": declined(fields=b'WWW-Authenticate: BearerLike realm="api"\r\n'),
    "Bearer in a quoted string": declined(fields=b'WWW-Authenticate: Basic realm="a, Bearer realm=b"\r\n'),
    "Bearer as another scheme's token": declined(fields=b"WWW-Authenticate: Negotiate Bearer\r\n"),
    "a challenge that no token answers": declined(fields=b'WWW-Authenticate: Bearer error="insufficient_scope"\r\n'),
    "a challenge that is cut": declined(fields=b'WWW-Authenticate: Bearer realm="api\r\n'),
    "a good challenge beside a broken one": declined(fields=CHALLENGE + b'WWW-Authenticate: Basic realm="\r\n'),
    "a code among a business view's members": declined(
        {"detail": "x", "code": "token_not_valid", "externalId": "order-1"}
    ),
    "a challenge over the payout's own id": declined({"errors": [{"externalId": "order-1"}]}, CHALLENGE),
    "a code without a detail": declined({"code": "token_not_valid"}),
    "a code in an envelope": declined({"error": {"detail": "x", "code": "token_not_valid"}}),
    "two codes": declined(b'{"detail": "x", "code": "303", "code": "token_not_valid"}'),
    "another code": declined({"code": "account_restricted"}),
    "a code that is no text": declined({"code": ["token_not_valid"]}),
    "a list": declined([{"code": "token_not_valid"}]),
    "a code beyond what is looked at": declined({"detail": "x" * 20_000, "code": "token_not_valid"}),
}


@pytest.mark.parametrize("name", PROVEN)
async def test_what_the_authentication_layer_declined_goes_out_once_more_with_a_newer_token(name: str) -> None:
    async with localpayment(first(PROVEN[name])) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, PAYOUT)
        assert (answer.status, answer.body) == (200, b"hello")
        assert there.calls.count(LINE) == 2
        tokens = {part.split(b"\r\n")[0] for part in there.calls.split(b"Authorization: ")[1:]}
        assert len(tokens) == 2
        (line,) = relay.calls
        assert (line["attempts"], line["outcome"], line["token_generation"]) == (2, "answered", 2)
        assert relay.value("resends_total", reason="token") == 1


@pytest.mark.parametrize("name", UNPROVEN)
async def test_any_other_401_is_the_callers_answer_and_renews_the_token_for_the_calls_to_come(name: str) -> None:
    async with localpayment(first(UNPROVEN[name])) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, PAYOUT)
        assert answer.status == 401
        assert UNPROVEN[name].endswith(answer.body)
        assert there.calls.count(LINE) == 1
        await until(lambda: relay.value("token_fetches_total", grant="refresh_token", result="granted"))
        assert (await said(relay, PAYOUT)).status == 200
        assert [line["token_generation"] for line in relay.calls] == [1, 2]


async def test_a_second_401_is_told_as_a_call_that_was_not_carried_out() -> None:
    twice = first(PROVEN["both"], PROVEN["both"])
    async with localpayment(twice) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, PAYOUT)
        problem = answer.problem
        assert (problem["code"], problem["status"], problem["outcome"]) == ("token_refused", 503, "not_sent")
        assert problem["retryable"] is True
        assert int(answer.headers["retry-after"]) >= 1
        assert there.calls.count(LINE) == 2
        (line,) = relay.calls
        assert (line["event"], line["attempts"], line["code"]) == ("request.relayed", 2, "token_refused")
        assert relay.value("upstream_denials_total", status="401") == 0


async def test_a_streamed_call_is_not_sent_again_and_a_newer_token_is_fetched_for_the_next() -> None:
    once = first(PROVEN["a challenge"])
    async with localpayment(once) as there, sidecar(settings_for(there.url, replay_buffer=64)) as relay:
        problem = (await said(relay, STREAM)).problem
        assert (problem["code"], problem["outcome"], problem["retryable"]) == ("token_refused", "not_sent", True)
        assert there.calls.count(LINE) == 1
        await until(lambda: relay.value("token_fetches_total", grant="refresh_token", result="granted"))
        assert (await said(relay, STREAM)).status == 200
        assert [line["token_generation"] for line in relay.calls] == [1, 2]


async def test_a_401_that_breaks_off_is_no_answer_and_proves_nothing() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(declined({"code": "token_not_valid"}, CHALLENGE)[:-5])
        wire.cut()

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay:
        problem = (await said(relay, PAYOUT)).problem
        assert (problem["status"], problem["outcome"]) == (502, "unknown")
        assert there.calls.count(LINE) == 1


async def test_a_call_that_was_declined_and_then_finds_no_connection_was_not_carried_out(ca_file: Path) -> None:
    async def decline(wire: Wire) -> None:
        await wire.request()
        await wire.send(declined(fields=CHALLENGE + b"Connection: close\r\n"))

    tunnels = 0

    async def tunnel(wire: Wire) -> None:
        nonlocal tunnels
        tunnels += bool(there.wires)
        if tunnels > 1:  # once the call was declined, the first is for the newer token
            await wire.head()
            await wire.send(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
        else:
            await open_tunnel(wire)

    async with localpayment(decline, tls=server_tls()) as there, origin(tunnel) as proxy:
        way = {"egress_proxy": EgressProxy("127.0.0.1", proxy.at.port, None), "upstream_ca_file": ca_file}
        async with sidecar(settings_for(there.url, effects_idle=0.5, **way)) as relay:  # which keeps none warm
            problem = (await said(relay, PAYOUT)).problem
        assert (problem["status"], problem["outcome"], problem["retryable"]) == (503, "not_sent", True)
        assert str(problem["detail"]).startswith("The call had been sent before, and could not be sent again: ")


async def test_a_read_that_got_no_answer_and_then_a_401_is_not_said_to_be_unsent() -> None:
    """The first attempt ended on a connection that had been used before, so that it may have been carried out."""

    async def script(wire: Wire) -> None:
        await wire.request()
        if len(there.wires) == 1:
            await wire.send(HELLO)
            await wire.request()
            return
        await wire.send(PROVEN["a challenge"])
        await wire.request()
        await wire.send(PROVEN["a challenge"])

    async with localpayment(script) as there, sidecar(settings_for(there.url)) as relay:
        assert (await said(relay, READ)).status == 200
        problem = (await said(relay, READ)).problem
        assert (problem["code"], problem["status"]) == ("upstream_disconnected", 502)
        assert relay.calls[-1]["attempts"] == 3


async def test_a_caller_that_leaves_while_a_newer_token_is_fetched_is_not_served_again() -> None:
    fetched, go = asyncio.Event(), asyncio.Event()

    async def serve(wire: Wire) -> None:
        if await wire.begins_with(TOKEN_CALL + b"refresh"):
            fetched.set()
            await go.wait()
        if await wire.begins_with(TOKEN_CALL):
            await hand_out(wire)
        calls.append(await wire.request())
        await wire.send(PROVEN["a challenge"])
        await wire.until_end()

    calls: list[bytes] = []
    async with origin(serve) as served:
        where = settings_for(f"http://127.0.0.1:{served.at.port}", token_wait=BOUND)
        async with sidecar(where) as relay, calling(relay) as caller:
            await caller.send(PAYOUT)
            await fetched.wait()
            caller.leave()
            await asyncio.sleep(0.05)  # the time in which the loop hears of it
            go.set()
            await until(lambda: relay.calls)
            (line,) = relay.calls
            assert (line["outcome"], line["status"], line["attempts"]) == ("orphaned", 401, 1)
    assert len(calls) == 1
