"""The policy decides about each call of a running sidecar, and what it refuses never reaches Localpayment."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import UnixAddress
from proxy.policy.file import parse_policy
from tests.support.callers import NOBODY, get_as, key, needs_root, on_socket, policy, shared_folder
from tests.support.fakes import FakeClock
from tests.support.origins import HELLO, greeting, localpayment
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.origins import Localpayment
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

BALANCE = "/api/accounts/032.840.00000001/balance"
PAYOUT = {"externalId": "order-1", "amount": 5}
READER = '[callers.reader]\nanyone = true\nallow = ["read_only"]\n'


@pytest.fixture
async def there() -> Any:
    async with localpayment(greeting) as origin:
        yield origin


async def test_what_is_not_allowed_is_refused_before_anything_is_sent(there: Localpayment, tmp_path: Path) -> None:
    async with sidecar(settings_for(there.url, policy_file=policy(tmp_path, READER))) as relay:
        assert (await relay.get(BALANCE))[0] == 200
        status, body = await relay.post("/api/payout", PAYOUT)
        problem = json.loads(body)
        assert (status, problem["code"], problem["outcome"]) == (403, "operation_forbidden", "rejected")
        assert "'create_payout' to 'reader'" in problem["detail"]
        assert b"/api/payout" not in there.calls
        assert [line["caller"] for line in relay.calls] == ["reader", "reader"]
        assert relay.value("caller_requests_total", caller="reader", kind="money_out") == 1


async def test_without_a_policy_everything_passes_but_a_release_by_date(there: Localpayment) -> None:
    async with sidecar(settings_for(there.url)) as relay:
        assert (await relay.post("/api/payout", PAYOUT))[0] == 200
        released = await relay.post("/api/payout/authorize", {"dateFrom": "2026-01-01", "dateTo": "2026-12-31"})
        assert released[0] == 403
        assert relay.calls[0]["caller"] == "anyone"


async def test_a_refused_target_and_a_refused_host_name_their_caller_too(there: Localpayment) -> None:
    async with sidecar(settings_for(there.url)) as relay:
        assert (await relay.post("/api/token/", {}))[0] == 403
        assert (await relay.get(BALANCE, headers={"Host": "evil.example"}))[0] == 403
        assert {line["caller"] for line in relay.calls} == {"anyone"}


# Who calls


async def test_the_kernel_says_which_user_calls_through_a_socket_file(there: Localpayment, tmp_path: Path) -> None:
    text = f'[callers.job]\nuid = {os.getuid()}\nallow = ["read_only"]\n'
    path = tmp_path / "proxy.sock"
    settings = settings_for(there.url, listen=UnixAddress(path), policy_file=policy(tmp_path, text))
    async with sidecar(settings) as relay, on_socket(path) as session, session.get(BALANCE) as answer:
        assert answer.status == 200
        assert relay.calls[0]["caller"] == "job"


@needs_root
async def test_another_user_of_the_machine_is_nobody(there: Localpayment) -> None:
    with shared_folder() as folder:
        path = folder / "proxy.sock"
        text = f'[callers.job]\nuid = {os.getuid()}\nallow = ["read_only"]\n[callers.guest]\ngid = 4\nallow = []\n'
        settings = settings_for(there.url, listen=UnixAddress(path), policy_file=policy(folder, text))
        async with sidecar(settings) as relay:
            path.chmod(0o666)
            status, body = await get_as(NOBODY, path, BALANCE)
            assert (status, json.loads(body)["code"]) == (403, "operation_forbidden")
            assert relay.lines("request.refused")[0]["caller"] == "unknown"
            relay.sidecar.relay.parts.authorizer.enforce(
                parse_policy(f'[callers.nobody]\ngid = {NOBODY}\nallow = ["read"]\n').policy
            )
            assert (await get_as(NOBODY, path, BALANCE))[0] == 200
            assert relay.lines("request.relayed")[0]["caller"] == "nobody"


async def test_a_key_is_known_by_its_hash_and_the_next_one_beside_it(there: Localpayment, tmp_path: Path) -> None:
    (old, old_hash), (new, new_hash), (wrong, _) = key(), key(), key()

    def written(*hashes: str) -> Path:
        return policy(tmp_path, f'[callers.payouts]\nkey_sha256 = {json.dumps(hashes)}\nallow = ["payout"]\n')

    async def status(relay: Running, *keys: str) -> int:
        headers = [("X-Proxy-Key", value) for value in keys]
        return (await relay.get(BALANCE, headers=headers))[0]

    async with sidecar(settings_for(there.url, policy_file=written(old_hash, new_hash))) as relay:
        assert [await status(relay, old), await status(relay, new)] == [200, 200]
        assert [await status(relay, wrong), await status(relay), await status(relay, old, new)] == [403, 403, 403]
        written(new_hash)
        await relay.admin("/-/reload", "POST")
        assert [await status(relay, old), await status(relay, new)] == [403, 200]
        names = [line["caller"] for line in relay.calls]
        assert sorted(names) == ["payouts"] * 3 + ["unknown"] * 4
        for secret in (old, new, wrong):
            assert secret not in relay.text_of_log


async def test_a_key_never_reaches_localpayment_however_it_is_written(there: Localpayment, tmp_path: Path) -> None:
    secret, hashed = key()
    text = f'[callers.job]\nkey_sha256 = "{hashed}"\nallow = ["read"]\n'
    async with sidecar(settings_for(there.url, policy_file=policy(tmp_path, text))) as relay:
        assert (await relay.get(BALANCE, headers={"x-pRoXy-kEy": secret, "X_Proxy_Key": secret}))[0] == 200
        assert secret.encode() not in there.calls
        assert b"proxy" not in there.calls.lower().replace(b"localpayment-proxy", b"")


# How much


async def test_a_used_up_rate_is_503_not_sent_and_comes_back_with_time(there: Localpayment, tmp_path: Path) -> None:
    clock = FakeClock(wall=time.time())  # by which the origin counts a token's life
    path = policy(tmp_path, READER + 'rate = "30/min"\nburst = 2\n')
    async with sidecar(settings_for(there.url, policy_file=path), clock=clock) as relay:
        assert [(await relay.get(BALANCE))[0] for _ in range(2)] == [200, 200]
        async with relay.session.get(relay.url + BALANCE) as answer:
            problem = await answer.json()
            assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
            assert (problem["code"], problem["outcome"], problem["retryable"]) == ("overloaded", "not_sent", True)
        await clock.advance(2.0)
        assert [(await relay.get(BALANCE))[0] for _ in range(2)] == [200, 503]


async def test_a_reload_gives_no_caller_its_used_up_calls_back(there: Localpayment, tmp_path: Path) -> None:
    clock = FakeClock(wall=time.time())  # by which the origin counts a token's life
    path = policy(tmp_path, READER + 'rate = "1/min"\n')
    async with sidecar(settings_for(there.url, policy_file=path), clock=clock) as relay:
        assert (await relay.get(BALANCE))[0] == 200
        await relay.admin("/-/reload", "POST")
        assert (await relay.get(BALANCE))[0] == 503
        policy(tmp_path, READER + 'rate = "2/min"\n')
        await relay.admin("/-/reload", "POST")
        assert (await relay.get(BALANCE))[0] == 200, "another rate is another bucket"


# Report, and change while running


async def test_report_lets_pass_and_tells_what_it_would_have_refused(there: Localpayment, tmp_path: Path) -> None:
    text = (
        'mode = "report"\n[callers.job]\nuid = 1\nallow = ["read"]\n'
        '[callers.other]\nanyone = true\nallow = ["read"]\ndeny = ["get_balance"]\nrate = "1/h"\n'
    )
    async with sidecar(settings_for(there.url, policy_file=policy(tmp_path, text), log_level="info")) as relay:
        assert (await relay.get(BALANCE))[0] == 200
        assert (await relay.post("/api/payout", PAYOUT))[0] == 200
        assert (await relay.get("/api/resources/banks"))[0] == 200
        assert [line.get("policy") for line in relay.calls] == ["denied", "not_allowed", "over_rate"]
        for verdict in ("denied", "not_allowed", "over_rate"):
            assert relay.value("policy_reports_total", verdict=verdict) == 1
        assert relay.value("policy_reports_total", verdict="unknown_caller") == 0
        released = await relay.post("/api/payout/authorize", {"dateFrom": "2026-01-01"})
        assert released[0] == 403, "a release by date is never only reported"


async def test_nobody_is_reported_as_such_when_the_file_only_reports(there: Localpayment, tmp_path: Path) -> None:
    text = 'mode = "report"\n[callers.job]\nuid = 1\nallow = ["read"]\n'
    async with sidecar(settings_for(there.url, policy_file=policy(tmp_path, text))) as relay:
        assert (await relay.get(BALANCE))[0] == 200
        assert (relay.calls[0]["caller"], relay.calls[0]["policy"]) == ("unknown", "unknown_caller")


async def test_a_policy_that_changes_holds_for_the_next_call_and_lets_those_on_their_way_end(tmp_path: Path) -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slow(wire: Wire) -> None:
        await wire.request()
        reached.set()
        await go_on.wait()
        await wire.send(HELLO)

    path = policy(tmp_path, READER)
    async with localpayment(slow) as there, sidecar(settings_for(there.url, policy_file=path)) as relay:
        under_way = asyncio.create_task(relay.get(BALANCE))
        await reached.wait()
        policy(tmp_path, READER.replace("read_only", "list_banks"))
        assert (await relay.admin("/-/reload", "POST"))[0] == 200
        assert (await relay.get(BALANCE))[0] == 403
        go_on.set()
        assert (await under_way)[0] == 200


async def test_a_policy_with_a_mistake_is_told_with_its_line_and_the_old_one_stays(
    there: Localpayment, tmp_path: Path
) -> None:
    path = policy(tmp_path, READER)
    async with sidecar(settings_for(there.url, policy_file=path)) as relay:
        policy(tmp_path, READER.replace("read_only", "read_onyl"))
        status, text = await relay.admin("/-/reload", "POST")
        assert status == 500
        assert "line 3" in text
        assert "did you mean 'read_only'" in text
        assert (await relay.post("/api/payout", PAYOUT))[0] == 403


# The release of payouts

BY_ID = {"externalId": "order-1"}
BY_DATE = {"externalId": "order-1", "dateFrom": "2026-01-01", "dateTo": "2026-01-31"}
PAYER = '[callers.payer]\nanyone = true\nallow = ["payout"]\n'


async def test_payouts_are_released_by_id_and_never_by_date_unless_that_is_named(
    there: Localpayment, tmp_path: Path
) -> None:
    async with sidecar(settings_for(there.url, policy_file=policy(tmp_path, PAYER))) as relay:
        assert (await relay.post("/api/payout/authorize", BY_ID))[0] == 200
        before = there.calls
        bodies: tuple[object, ...] = (BY_DATE, {}, [], {"ids": []})
        for body in bodies:
            status, answer = await relay.post("/api/payout/authorize", body)
            assert (status, json.loads(answer)["code"]) == (403, "operation_forbidden"), body
        assert (await relay.post("/api/payout/authorize?dateFrom=2026-01-01", BY_ID))[0] == 403
        async with relay.session.post(relay.url + "/api/payout/authorize") as empty:
            assert empty.status == 403
        assert there.calls == before
        named = PAYER.replace('"payout"', '"payout", "authorize_payouts:by_date"')
        relay.sidecar.relay.parts.authorizer.enforce(parse_policy(named).policy)
        assert (await relay.post("/api/payout/authorize", BY_DATE))[0] == 200


async def test_a_release_that_cannot_be_held_is_refused_though_it_came_in_pieces(there: Localpayment) -> None:
    async def pieces(*more: bytes) -> Any:
        yield b'{"externalId": '
        yield b'"order-1"'
        for piece in more:
            yield piece
        yield b"}"

    headers = {"Content-Type": "application/json"}
    async with sidecar(settings_for(there.url, replay_buffer=64)) as relay:
        url = relay.url + "/api/payout/authorize"
        async with relay.session.post(url, data=pieces(), headers=headers) as answer:
            assert answer.status == 200
        async with relay.session.post(url, data=pieces(b', "dateFrom": 1'), headers=headers) as answer:
            assert answer.status == 403
        async with relay.session.post(url, data=pieces(b" " * 64), headers=headers) as answer:
            assert answer.status == 403
        assert there.calls.count(b"/api/payout/authorize") == 1


# The caller's own Authorization

OWN = PAYER.replace('"payout"', '"tokenize_card", "read"') + 'own_authorization = ["tokenize_card"]\n'
BEARER = "Bearer of-a-smart-field"


def authorizations(there: Localpayment) -> list[bytes]:
    lines = there.calls.split(b"\r\n")
    return [line.partition(b": ")[2] for line in lines if line.lower().startswith(b"authorization:")]


async def test_a_callers_own_authorization_goes_in_place_of_ours_where_the_policy_says_so(
    there: Localpayment, tmp_path: Path
) -> None:
    async with sidecar(settings_for(there.url, policy_file=policy(tmp_path, OWN))) as relay:
        await relay.post("/api/card", {}, headers={"Authorization": BEARER})
        await relay.post("/api/card", {})
        await relay.get(BALANCE, headers={"Authorization": BEARER})
        await relay.post("/api/card", {}, headers=[("Authorization", BEARER)] * 2)
        own, *ours = authorizations(there)
        assert own == BEARER.encode()
        assert len(set(ours)) == 1
        assert len(ours) == 3
        assert ours[0].startswith(b"Bearer ey")
        assert [line["token_generation"] for line in relay.calls] == [0, 1, 1, 1]


async def test_a_401_on_a_callers_own_credential_says_nothing_about_our_token(tmp_path: Path) -> None:
    async def refuse(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(
                b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm="api"\r\nContent-Length: 2\r\n\r\n{}'
            )

    async with (
        localpayment(refuse) as there,
        sidecar(settings_for(there.url, policy_file=policy(tmp_path, OWN))) as relay,
    ):
        status, body = await relay.post("/api/card", {}, headers={"Authorization": BEARER})
        assert (status, body) == (401, b"{}")
        assert authorizations(there) == [BEARER.encode()]
        assert relay.value("token_disputes_total") == 0
        assert relay.sidecar.keeper.ready
        assert relay.calls[0]["attempts"] == 1


async def test_a_locked_sidecar_refuses_calls_with_an_own_credential_too(there: Localpayment, tmp_path: Path) -> None:
    async with sidecar(settings_for(there.url, policy_file=policy(tmp_path, OWN))) as relay:
        relay.sidecar.keeper.lock()
        status, body = await relay.post("/api/card", {}, headers={"Authorization": BEARER})
        assert (status, json.loads(body)["code"]) == (503, "locked")
        assert authorizations(there) == []
