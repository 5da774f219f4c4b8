"""Each command of the simulator's control interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from proxy.simulator.control import COMMANDS
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.tokens import User
from tests.support.simulated import BALANCE, NAME, SECOND_WORD, WORD, logged_in_client, one_account, pay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from proxy.simulator.server import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with one_account() as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with logged_in_client(simulator) as session:
        yield session


@pytest.fixture
async def control(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(simulator.control_url) as session:
        yield session


async def told(control: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with control.request(method, path, json=body) as answer:
        return answer.status, await answer.json()


async def status_of(client: aiohttp.ClientSession) -> int:
    async with client.get(BALANCE) as answer:
        return answer.status


async def test_the_control_port_explains_itself_with_commands_to_copy(
    simulator: Simulator, control: aiohttp.ClientSession
) -> None:
    status, index = await told(control, "GET", "/")
    assert status == 200
    assert len(index["commands"]) == len(COMMANDS)
    for command in index["commands"]:
        assert command["does"]
        assert simulator.control_url in command["curl"]
    assert set(index["fault_kinds"]) == set(Kind)
    assert {"*", "token", "token_refresh", "create_payin"} <= set(index["operations"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.method} {command.path}")
async def test_the_example_of_each_command_works(control: aiohttp.ClientSession, command: Any) -> None:
    status, content = await told(control, command.method, command.path, command.example or None)
    assert status == 200
    assert content


async def test_faults_are_set_listed_and_cleared(control: aiohttp.ClientSession, client: aiohttp.ClientSession) -> None:
    rule = {"operation": "create_payin", "kind": "status", "status": 500, "times": None, "retry_after": None}
    assert (await told(control, "POST", "/faults", rule))[1]["number"] == 1
    assert await pay(client) == 500
    assert (await told(control, "GET", "/faults"))[1]["faults"][0]["operation"] == "create_payin"
    assert await told(control, "DELETE", "/faults") == (200, {"cleared": 1})
    assert await pay(client) == 201


@pytest.mark.parametrize(
    ("body", "living"),
    [({"kind": "access"}, {"refresh"}), ({"kind": "refresh"}, {"access"}), ({"kind": "all"}, set()), (None, set())],
)
@pytest.mark.parametrize("verb", ["revoke", "expire"])
async def test_tokens_are_ended_by_kind(
    control: aiohttp.ClientSession, client: aiohttp.ClientSession, verb: str, body: Any, living: set[str]
) -> None:
    async with client.post("/api/token/", json={"username": NAME, "password": WORD}) as answer:
        refresh = (await answer.json())["refresh"]
    await told(control, "POST", f"/tokens/{verb}", body)
    assert (await status_of(client) == 200) is ("access" in living)
    async with client.post("/api/token/refresh/", json={"refresh": refresh}) as answer:
        assert (answer.status == 200) is ("refresh" in living)


async def test_the_clock_is_set_ahead(
    simulator: Simulator, control: aiohttp.ClientSession, client: aiohttp.ClientSession
) -> None:
    assert await told(control, "POST", "/clock", {"offset": 400}) == (200, {"offset": 400.0})
    assert await status_of(client) == 401
    await told(control, "POST", "/clock", {"offset": 0})
    assert await status_of(client) == 200
    assert simulator.clock_offset == 0


async def test_settings_change_one_by_one(control: aiohttp.ClientSession) -> None:
    await told(control, "POST", "/settings", {"access_lifetime": 10, "rotate": True})
    status, settings = await told(control, "POST", "/settings", {"refresh_lifetime": 60, "blacklist": False})
    expected = {"access_lifetime": 10, "refresh_lifetime": 60, "rotate": True, "blacklist": False}
    assert (status, settings) == (200, expected)


async def test_a_new_password_takes_the_place_of_the_old_one_and_is_not_repeated(
    control: aiohttp.ClientSession, client: aiohttp.ClientSession
) -> None:
    body = {"password": SECOND_WORD, "revoke_check": True}
    status, content = await told(control, "POST", "/credentials/password-changed", body)
    assert (status, content) == (200, {"password": "changed", "revoke_check": True})
    assert await status_of(client) == 401
    for word, expected in {WORD: 401, SECOND_WORD: 200}.items():
        async with client.post("/api/token/", json={"username": NAME, "password": word}) as answer:
            assert answer.status == expected


async def test_the_user_is_made_inactive_and_active(
    simulator: Simulator, control: aiohttp.ClientSession, client: aiohttp.ClientSession
) -> None:
    for state, expected in {"inactive": 401, "deleted": 401, "active": 200}.items():
        assert await told(control, "POST", "/credentials/user", {"state": state}) == (200, {"state": state})
        assert await status_of(client) == expected
    assert simulator.account.user is User.ACTIVE


async def test_log_and_stats_name_operations_and_nothing_else(
    control: aiohttp.ClientSession, client: aiohttp.ClientSession
) -> None:
    await pay(client, "very-private-id")
    await pay(client, "very-private-id")
    calls = (await told(control, "GET", "/log"))[1]["calls"]
    assert calls[1:] == [
        {"method": "POST", "operation": "create_payin", "status": 201},
        {"method": "POST", "operation": "create_payin", "status": 400},
    ]
    assert (await told(control, "GET", "/log?last=1"))[1]["calls"] == calls[2:]
    assert (await told(control, "GET", "/log?last=0"))[1]["calls"] == []
    stats = (await told(control, "GET", "/stats"))[1]
    assert (stats["token_calls"], stats["executed"]) == ({"password": 1}, {"create_payin": 1})
    assert stats["attempted"] == {"create_payin": 2}
    assert "very-private-id" not in str((calls, stats))


async def test_executions_are_counted_by_external_id_and_reads_are_none(
    simulator: Simulator, control: aiohttp.ClientSession, client: aiohttp.ClientSession
) -> None:
    assert await told(control, "GET", "/executions") == (200, {"executions": {}})
    for _ in range(2):
        await pay(client, "order-1")
    await pay(client, "order-2")
    for half in range(2):
        async with client.patch("/api/payin/order-2/refund", json={"amount": 5}) as answer:
            assert answer.status == 200, half
    async with client.get("/api/transactions/order-1") as answer:
        assert answer.status == 200
    both = {"order-1": {"create_payin": 1}, "order-2": {"create_payin": 1, "refund_payin": 2}}
    assert (await told(control, "GET", "/executions"))[1] == {"executions": both}
    one = (await told(control, "GET", "/executions?external_id=order-2"))[1]
    assert one == {"executions": {"order-2": both["order-2"]}}
    assert await told(control, "GET", "/executions?external_id=never") == (200, {"executions": {"never": {}}})
    assert simulator.executed_by_id() == both


async def test_a_reset_forgets_everything_but_the_tokens_issued(
    simulator: Simulator, control: aiohttp.ClientSession, client: aiohttp.ClientSession
) -> None:
    await pay(client)
    simulator.account.user = User.INACTIVE
    simulator.set_clock(1000)
    simulator.change_settings(rotate=True)
    simulator.add_fault(Fault(Kind.HANG, times=None))
    assert await told(control, "POST", "/reset") == (200, {"reset": True})
    assert (len(simulator.log), simulator.clock_offset, simulator.tokens.settings.rotate) == (0, 0, False)
    assert await pay(client) == 201


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("POST", "/faults", {}), "kind is required"),
        (("POST", "/faults", {"kind": "boom"}), "kind must be one of"),
        (("POST", "/faults", {"kind": "hang", "operation": "pay"}), "operation must be one of"),
        (("POST", "/faults", {"kind": "hang", "times": 0}), "times must be at least 1"),
        (("POST", "/faults", {"kind": "hang", "time": 1}), "accepted: body, kind, operation"),
        (("POST", "/tokens/revoke", {"kind": "none"}), "kind must be one of access, all, refresh"),
        (("POST", "/clock", {"offset": "soon"}), "offset must be a number"),
        (("POST", "/clock", {"offset": 1e12}), "offset must be between"),
        (("POST", "/settings", {"access_lifetime": 0}), "access_lifetime must be between"),
        (("POST", "/credentials/user", {"state": "gone"}), "state must be one of active, deleted, inactive"),
        (("GET", "/log?last=few", None), "last must be a whole number"),
        (("POST", "/reset", [1]), "must be a JSON object"),
        (("DELETE", "/faults", {"number": 1}), "accepted: none"),
    ],
)
async def test_a_command_that_cannot_be_carried_out_is_a_400_that_says_what_can(
    simulator: Simulator, control: aiohttp.ClientSession, command: tuple[str, str, Any], message: str
) -> None:
    status, content = await told(control, *command)
    assert status == 400
    assert message in content["error"]
    assert set(content["accepts"]) == {"fields", "example"}
    assert simulator.faults.rules == ()


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("PUT", "/faults"), ("POST", "/")])
async def test_an_unknown_command_is_a_404_that_lists_the_known_ones(
    control: aiohttp.ClientSession, method: str, path: str
) -> None:
    status, content = await told(control, method, path)
    assert status == 404
    assert "POST /faults" in content["commands"]
