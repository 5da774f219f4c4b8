"""A call that is sent at once is judged, counted and audited as any other; what asks for a closer look is looked at."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import pytest

from proxy.config import Origin
from proxy.config.addresses import Collector as Endpoint
from proxy.config.addresses import RequiredHeader
from proxy.ops.logs.audit import fingerprint
from proxy.policy.file import parse_policy
from tests.support.callers import key, policy
from tests.support.collector import collecting
from tests.support.fakes import FakeClock, settle
from tests.support.origins import calling, greeting, localpayment, until
from tests.support.sent_at_once import ORDER, PAY, READ, Holding, ask, at_rest, in_front_of, warm_sidecar
from tests.support.sidecars import settings_for

if TYPE_CHECKING:
    from pathlib import Path

READER = '[callers.reader]\nanyone = true\nallow = ["read_only"]\n'
RATED = '[callers.job]\nanyone = true\nallow = ["read_only"]\nrate = "60/min"\nburst = 3\n'


async def test_a_rate_counts_each_call_once_and_what_is_too_many_is_refused(tmp_path: Path) -> None:
    clock = FakeClock(wall=time.time())
    async with localpayment(greeting) as there:
        where = settings_for(there.url, policy_file=policy(tmp_path, RATED))
        async with warm_sidecar(where, clock) as (relay, at_once), calling(relay) as caller:
            statuses = []
            for _ in range(4):
                await caller.send(ask("GET", READ))
                statuses.append((await caller.one()).status)
            assert statuses == [200, 200, 200, 503]
            assert (len(at_once.taken), at_once.refused) == (3, 0)
            refused = relay.calls[-1]
            assert (refused["outcome"], refused["code"], refused["caller"]) == ("not_sent", "overloaded", "job")
            await until(lambda: at_rest(relay))
            assert relay.sidecar.pool.stats().idle == 1
            assert there.calls.count(b"GET ") == 3


async def test_a_full_gate_refuses_and_gives_the_connection_back() -> None:
    async with in_front_of(greeting, max_in_flight=2) as (there, relay, at_once, caller):
        relay.sidecar.concurrency.enter(effects=False)  # reads may take one of two
        await caller.send(ask("GET", READ))
        assert (await caller.one()).problem["code"] == "overloaded"
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).status == 200
        assert len(at_once.taken) == 1
        relay.sidecar.concurrency.leave(effects=False)
        assert at_rest(relay)
        assert relay.sidecar.pool.stats().idle == 1
        assert there.calls.count(b"GET ") == 0


async def test_what_a_caller_may_not_do_is_refused_and_what_it_may_is_sent_at_once(tmp_path: Path) -> None:
    async with in_front_of(greeting, policy_file=policy(tmp_path, READER)) as (there, relay, at_once, caller):
        await caller.send(ask("GET", READ))
        assert (await caller.one()).status == 200
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).problem["code"] == "operation_forbidden"
        assert [line["caller"] for line in relay.calls] == ["reader", "reader"]
        assert len(at_once.taken) == 1
        assert b"POST" not in there.calls


async def test_a_key_is_looked_at_each_time_and_never_reaches_localpayment(tmp_path: Path) -> None:
    good, hashed = key()
    text = f'[callers.shop]\nkey_sha256 = ["{hashed}"]\nallow = ["read_only"]\n'
    async with in_front_of(greeting, policy_file=policy(tmp_path, text)) as (there, relay, at_once, caller):
        statuses = []
        for field in (f"X-Proxy-Key: {good}", "X-Proxy-Key: wrong", f"X-Proxy-Key: {good}", "X-Other: 1"):
            await caller.send(ask("GET", READ, field))
            statuses.append((await caller.one()).status)
        assert statuses == [200, 403, 200, 403]
        assert [line["caller"] for line in relay.calls] == ["shop", "shop", "unknown", "unknown"]
        assert len(at_once.taken) == 2
        assert good.encode() not in there.calls
        assert b"x-proxy-key" not in there.calls.lower()
        assert good not in relay.text_of_log


async def test_what_is_only_reported_is_reported(tmp_path: Path) -> None:
    path = policy(tmp_path, READER + 'mode = "report"\n')
    async with in_front_of(greeting, policy_file=path) as (_, relay, at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).status == 200
        await until(lambda: relay.calls)
        assert relay.calls[0]["policy"] == "not_allowed"
        assert len(at_once.taken) == 1


async def test_a_rate_that_is_only_reported_is_reported_when_sent_at_once(tmp_path: Path) -> None:
    path = policy(tmp_path, RATED.replace("burst = 3", 'burst = 1\nmode = "report"'))
    async with in_front_of(greeting, policy_file=path) as (_, relay, at_once, caller):
        for _ in range(2):
            await caller.send(ask("GET", READ))
            assert (await caller.one()).status == 200
        assert [line.get("policy") for line in relay.calls] == [None, "over_rate"]
        assert len(at_once.taken) == 2


async def test_a_policy_that_changes_holds_for_the_next_call_of_a_connection() -> None:
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).status == 200
        relay.sidecar.relay.parts.authorizer.enforce(parse_policy(READER).policy)
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).status == 403
        assert (len(at_once.taken), there.calls.count(b"POST ")) == (1, 1)


async def test_a_call_that_is_under_way_when_the_policy_changes_is_finished() -> None:
    held = Holding()
    async with in_front_of(held) as (_, relay, _at_once, caller):
        await caller.send(ask("POST", PAY, body=ORDER))
        await held.begun.wait()
        await caller.send(ask("POST", PAY, body=ORDER))
        await settle()
        relay.sidecar.relay.parts.authorizer.enforce(parse_policy(READER).policy)
        held.go.set()
        assert [(await caller.one()).status for _ in range(2)] == [200, 403]


async def test_a_locked_sidecar_sends_nothing() -> None:
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        relay.sidecar.keeper.lock()
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).status == 503
        assert (at_once.taken, there.calls) == ([], b"")


@pytest.mark.parametrize("sent", [True, False])
async def test_a_required_field_opens_the_way_and_never_reaches_localpayment(*, sent: bool) -> None:
    field = RequiredHeader("X-Internal", "yes")
    async with in_front_of(greeting, required_header=field) as (there, relay, at_once, caller):
        await caller.send(ask("GET", READ, *(["X-Internal: yes"] if sent else [])))
        assert (await caller.one()).status == (200 if sent else 412)
        assert len(at_once.taken) == sent
        assert b"x-internal" not in there.calls.lower()
        assert len(relay.calls) == 1


async def test_server_timing_makes_no_call_wait() -> None:
    async with in_front_of(greeting, server_timing=True) as (_, _relay, at_once, caller):
        for _ in range(2):
            await caller.send(ask("GET", READ))
            assert "own;dur=" in (await caller.one()).headers["server-timing"]
        assert (len(at_once.taken), at_once.handed_over) == (2, [])


async def test_traces_make_no_call_wait() -> None:
    async with collecting() as collector:
        to = Endpoint(Origin("127.0.0.1", int(collector.url.rpartition(":")[2]), tls=False), "")
        async with in_front_of(greeting, otel_endpoint=to) as (there, _relay, at_once, caller):
            await caller.send(ask("GET", READ, "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
            assert (await caller.one()).status == 200
            assert (len(at_once.taken), at_once.handed_over) == (1, [])
            assert there.calls.count(b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-") == 1
            assert b"00f067aa0ba902b7" not in there.calls


async def test_a_body_in_pieces_waits_for_its_pieces_alone() -> None:
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        payout = ask("POST", PAY, body=ORDER)
        for piece in (payout[:-9], payout[-9:-5], payout[-5:] + ask("GET", READ)):
            assert there.calls == b""
            await caller.send(piece)
            await settle()
        assert [(await caller.one()).status for _ in range(2)] == [200, 200]
        assert (len(at_once.taken), at_once.handed_over) == (2, [])
        assert there.calls.count(ORDER) == 1
        await until(lambda: at_rest(relay))


async def test_the_audit_stream_has_the_hash_of_its_payment(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"an invented key of enough length")
    audit = tmp_path / "audit.jsonl"
    async with localpayment(greeting) as there:
        where = settings_for(there.url, audit_log=audit, audit_key_file=tmp_path / "key")
        async with warm_sidecar(where) as (relay, at_once), calling(relay) as caller:
            await caller.send(ask("POST", PAY, body=ORDER))
            await caller.one()
            await caller.send(ask("PATCH", "/api/payin/order-1/refund"))
            await caller.one()
            await caller.send(ask("POST", PAY, body=b"no JSON"))
            await caller.one()
            await caller.send(ask("GET", READ))
            await caller.one()
            assert len(at_once.taken) == 4
        lines = [json.loads(line) for line in (await asyncio.to_thread(audit.read_text)).splitlines()]
        hashed = fingerprint(b"an invented key of enough length", "order-1")
        assert [line.get("external_id_hmac") for line in lines] == [hashed, hashed, None]
        assert [line["outcome"] for line in lines] == ["answered"] * 3
        assert "order-1" not in json.dumps(lines)


async def test_a_callers_own_credential_goes_in_place_of_ours(tmp_path: Path) -> None:
    text = '[callers.shop]\nanyone = true\nallow = ["tokenize_card"]\nown_authorization = ["tokenize_card"]\n'
    async with in_front_of(greeting, policy_file=policy(tmp_path, text)) as (there, _relay, at_once, caller):
        await caller.send(ask("POST", "/api/card", "Authorization: Bearer a-smart-fields-own", body=b"{}"))
        assert (await caller.one()).status == 200
        assert at_once.taken == []
        assert (
            there.calls.count(b"Authorization: ") == there.calls.count(b"Authorization: Bearer a-smart-fields-own") == 1
        )


@pytest.mark.parametrize(
    ("sent", "reused"),
    [
        (ask("GET", READ), True),
        (ask("POST", PAY, body=ORDER), False),
        (ask("POST", "/api/validation/bank", body=ORDER), False),  # a read, but one that nobody may send again
    ],
)
async def test_a_connection_that_has_cooled_carries_only_what_may_be_sent_again(sent: bytes, *, reused: bool) -> None:
    async with in_front_of(greeting) as (_, relay, at_once, caller):
        (connection,) = relay.sidecar.pool._idle  # noqa: SLF001 - it ages within the call's own moment
        connection.idle_since -= 3.0  # seconds: more than a payment trusts, and less than closes it
        await caller.send(sent)
        assert (await caller.one()).status == 200
        assert len(at_once.taken) == reused
        assert connection.alive == reused  # else a new one takes its place
        await until(lambda: at_rest(relay))
