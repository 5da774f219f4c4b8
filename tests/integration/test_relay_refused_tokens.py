"""A token that Localpayment refuses, and that cannot be replaced: what callers are told, and where operators see it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.support.origins import HELLO, TOKEN_CALL, access, calling, request, said, until
from tests.support.refused_tokens import CHALLENGE, LINE, PAYOUT, STREAM, declined
from tests.support.scripted_origin import Wire, origin
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REFUSED = declined({"detail": "x", "code": "token_not_valid", "messages": []}, CHALLENGE)
BALANCE = request("GET", "/api/accounts/1/balance")
OTHER = request("GET", "/api/not-in-the-catalogue?page=1")
DOWN = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"


@dataclass
class Account:
    """Localpayment, as one account sees it.

    Attributes:
        grants: whether the token endpoints hand out tokens; else they fail.
        refuses: the starts of calls that are answered 401 whatever their token.
        answer: to those.
        calls: all that came, but for the token endpoints'.
        fetches: how many calls of the token endpoints came.
    """

    grants: bool = True
    refuses: tuple[bytes, ...] = ()
    answer: bytes = REFUSED
    calls: list[bytes] = field(default_factory=list)
    fetches: int = 0

    async def serve(self, wire: Wire) -> None:
        while True:
            head = await wire.request()
            if head.startswith(TOKEN_CALL):
                self.fetches += 1
                body = json.dumps({"access": access(), "refresh": access(86400)}).encode()
                granted = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
                await wire.send(granted if self.grants else DOWN)
            else:
                self.calls.append(head)
                await wire.send(self.answer if head.startswith(self.refuses) else HELLO)


@contextlib.asynccontextmanager
async def account(**changes: object) -> AsyncIterator[tuple[Account, Running]]:
    there = Account()
    async with (
        origin(there.serve) as served,
        sidecar(settings_for(f"http://127.0.0.1:{served.at.port}", token_wait=0.2, **changes)) as relay,
    ):
        yield there, relay


async def readiness(relay: Running) -> tuple[int, str]:
    status, text = await relay.admin("/readyz")
    return status, text.strip()


@pytest.mark.parametrize("call", [PAYOUT, BALANCE, STREAM], ids=["payout", "read", "stream"])
async def test_it_is_told_as_a_call_that_was_not_carried_out_and_seen_until_a_call_succeeds(call: bytes) -> None:
    async with account(replay_buffer=64) as (there, relay):
        there.grants, there.refuses = False, (b"GET", b"POST")
        await said(relay, call)
        await until(lambda: there.fetches > 1 and relay.lines("token.fetch_failed"))
        answer = await said(relay, call)
        problem = answer.problem
        assert (problem["status"], problem["code"], problem["outcome"]) == (503, "token_refused", "not_sent")
        assert problem["retryable"] is True
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        status, why = await readiness(relay)
        assert status == 503
        assert why.startswith(
            "Localpayment refuses the token that is held, and gives no other: the token endpoint failed (500)\nTo do: "
        )
        assert (relay.value("token_refused"), relay.value("ready")) == (1, 0)
        _, view = await relay.admin("/status", headers={"Accept": "application/json"})
        assert json.loads(view)["token"]["refused"] is True
        _, page = await relay.admin("/status", headers={"Accept": "text/html"})
        assert "Localpayment refuses it, and gives no other" in page
        there.refuses = ()
        assert (await said(relay, call)).status == 200
        assert await readiness(relay) == (200, "ready")
        assert relay.value("token_refused") == 0
        assert relay.value("upstream_denials_total", status="401") == 0


async def test_it_is_seen_until_a_newer_token_comes() -> None:
    async with account() as (there, relay):
        there.grants, there.refuses = False, (b"POST",)
        assert (await said(relay, PAYOUT)).problem["code"] == "token_refused"
        await until(lambda: relay.lines("token.fetch_failed"))
        assert (await said(relay, PAYOUT)).problem["code"] == "token_refused"
        assert (await readiness(relay))[0] == 503
        there.grants, there.refuses = True, ()
        await until(lambda: relay.lines("token.refreshed")[-1]["token_generation"] == 2)
        assert await readiness(relay) == (200, "ready")


@pytest.mark.parametrize("path", [BALANCE, OTHER], ids=["balance", "other"])
@pytest.mark.parametrize("answer", [REFUSED, declined({"detail": "no"})], ids=["proven", "not proven"])
async def test_a_path_that_refuses_a_token_which_works_elsewhere_has_its_answer_passed_on(
    path: bytes, answer: bytes
) -> None:
    async with account() as (there, relay):
        there.refuses, there.answer = (path.partition(b" HTTP")[0],), answer
        await said(relay, path)
        assert (await said(relay, PAYOUT)).status == 200
        fetched = there.fetches
        assert fetched == (3 if answer is REFUSED else 2), "a login, and one fetch for each token that was refused"
        for _ in range(5):
            passed_on = await said(relay, path)
            assert (passed_on.status, passed_on.body) == (401, answer.partition(b"\r\n\r\n")[2])
            assert (await said(relay, PAYOUT)).status == 200
        assert there.fetches == fetched
        assert await readiness(relay) == (200, "ready")
        there.refuses = (LINE,)
        there.grants = False
        assert (await said(relay, path)).status == 200, "the path has come to its senses"
        fetched = there.fetches
        assert (await said(relay, PAYOUT)).status == (503 if answer is REFUSED else 401)
        await until(lambda: there.fetches > fetched)


async def test_a_call_that_was_on_its_way_already_does_not_vouch_for_a_token_that_was_refused_since() -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    there = Account()

    async def serve(wire: Wire) -> None:
        if await wire.begins_with(b"GET /api/accounts"):
            await wire.request()
            begun.set()
            await go.wait()
            await wire.send(HELLO)
        await there.serve(wire)

    async with (
        origin(serve) as served,
        sidecar(settings_for(f"http://127.0.0.1:{served.at.port}", token_wait=0.2)) as relay,
        calling(relay) as early,
    ):
        await early.send(BALANCE)
        await begun.wait()
        there.grants, there.refuses = False, (b"POST",)
        for _ in range(2):
            assert (await said(relay, PAYOUT)).problem["code"] == "token_refused"
        go.set()
        assert (await early.rest()).status == 200
        assert (await readiness(relay))[0] == 503
        assert (await said(relay, PAYOUT)).problem["code"] == "token_refused"


FORBIDDEN = declined({"detail": "x", "code": "token_not_valid"}).replace(b"401 Unauthorized", b"403 Forbidden")
NESTED = declined({"errors": [{"code": "token_not_valid"}]}).replace(b"401 Unauthorized", b"403 Forbidden")
NO_PERMISSION = declined({"detail": "x", "code": "permission_denied"}).replace(b"401 Unauthorized", b"403 Forbidden")


@pytest.mark.parametrize("answer", [FORBIDDEN, NESTED, NO_PERMISSION], ids=["a code", "a nested code", "another code"])
async def test_a_403_is_the_callers_answer_and_renews_the_token_only_if_it_has_a_code_of_simple_jwts(
    answer: bytes,
) -> None:
    async with account() as (there, relay):
        there.refuses, there.answer = (LINE,), answer
        passed_on = await said(relay, PAYOUT)
        assert (passed_on.status, passed_on.body) == (403, answer.partition(b"\r\n\r\n")[2])
        assert len(there.calls) == 1
        if answer is not NO_PERMISSION:
            await until(lambda: there.fetches == 2)
        assert (await said(relay, BALANCE)).status == 200
        assert there.fetches == (1 if answer is NO_PERMISSION else 2)
        assert relay.value("upstream_denials_total", status="403") == 1
