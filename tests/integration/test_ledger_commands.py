"""What a person or a webhook's handler tells a running sidecar of its ledger: by its admin listener and by command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import LedgerFile
from proxy.ops.admin.ledger_commands import AT_ONCE
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.ledgers import PAYIN, begun, intent, ledger_rows, pay, until_ended
from tests.support.processes import Finished, ran
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SETTLE, EXECUTED = "/-/ledger/settle", json.dumps({"as": "executed", "note": "webhook"})


@pytest.fixture
async def origin() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
async def relay(origin: Simulator, tmp_path: Path) -> AsyncIterator[Running]:
    async with sidecar(settings_for(origin.url, ledger=LedgerFile(tmp_path / "ledger.db"))) as running:
        yield running


async def lost(relay: Running, origin: Simulator, external_id: str = "order-1") -> None:
    """Make a payment whose answer is lost; its end is written a moment after its caller was told."""
    origin.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payin"))
    assert (await pay(relay, external_id))[0] == 502
    await until_ended(relay)


async def told(relay: Running, path: str, **options: Any) -> tuple[int, Any]:
    status, text = await relay.admin(path, "POST", **options)
    return status, json.loads(text)


async def typed(relay: Running, *words: str) -> Finished:
    address = relay.sidecar.admin_url.removeprefix("http://")
    return await ran("ledger", *words, settings={"PROXY_ADMIN_LISTEN": address})


# settle


async def test_a_lost_answer_is_settled_at_once_when_a_person_asks(relay: Running, origin: Simulator) -> None:
    await lost(relay, origin)
    status, answer = await told(relay, SETTLE)
    (call,) = answer["calls"]
    assert (status, call["operation"], call["state"]) == (200, "create_payin", "unknown")
    assert (call["settled"], call["detail"], call["next_ask"]) == ("executed", "COMPLETED", None)
    assert relay.value("ledger_settled_total", result="executed") == 1
    assert origin.attempts("create_payin") == 1, "it only reads"
    assert "order-1" not in json.dumps(answer) + relay.text_of_log
    assert await told(relay, SETTLE) == (200, {"calls": []})


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.GARBAGE, "get_transaction_status"),
        Fault(Kind.ANOTHER_PAYMENT, "get_transaction_status"),
        Fault(Kind.STATUS, "get_transaction_status", status=404),
        Fault(Kind.STATUS, "get_transaction_status", status=500),
        Fault(Kind.DROP_MID_ANSWER, "get_transaction_status"),
        Fault(Kind.DROP_AFTER_READ, "get_transaction_status", times=2),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
async def test_an_answer_that_proves_nothing_settles_nothing(relay: Running, origin: Simulator, fault: Fault) -> None:
    await lost(relay, origin)
    origin.add_fault(fault)
    (call,) = (await told(relay, f"{SETTLE}?id=order-1"))[1]["calls"]
    assert (call["settled"], call["asks"]) == (None, 1)
    origin.clear_faults()
    (call,) = (await told(relay, f"{SETTLE}?id=order-1"))[1]["calls"]
    assert (call["settled"], call["asks"]) == ("executed", 2)


async def test_a_call_that_was_answered_with_an_error_of_the_server_is_asked_about_when_it_is_named(
    relay: Running, origin: Simulator
) -> None:
    origin.add_fault(Fault(Kind.STATUS, "create_payin", status=502))
    assert (await pay(relay))[0] == 502
    await until_ended(relay)
    assert await told(relay, SETTLE) == (200, {"calls": []}), "it was answered, and is asked about by a person alone"
    origin.add_fault(Fault(Kind.STATUS, "get_transaction_status", status=404))
    vain = await typed(relay, "settle", "order-1")
    assert (vain.code, vain.out) == (1, "1 create_payin: not known; asks: 1; `ledger settle` asks\n")
    assert (await pay(relay))[0] == 201
    found = await typed(relay, "settle", "1")
    assert (found.code, found.out) == (0, "1 create_payin: executed (COMPLETED)\n")
    assert (await typed(relay, "settle", "2")).code == 0


async def test_a_call_whose_end_is_not_written_yet_is_not_left_out(relay: Running, origin: Simulator) -> None:
    for number in range(20):
        origin.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payin"))
        assert (await pay(relay, f"order-{number}"))[0] == 502
        status, answer = await told(relay, SETTLE)
        assert (status, [call["settled"] for call in answer["calls"]]) == (200, ["executed"])


async def test_what_is_settled_is_not_asked_about_again(relay: Running, origin: Simulator) -> None:
    await lost(relay, origin)
    await told(relay, SETTLE)
    asked = origin.attempts("get_transaction_status")
    (call,) = (await told(relay, f"{SETTLE}?id=order-1"))[1]["calls"]
    assert (call["settled"], origin.attempts("get_transaction_status")) == ("executed", asked)


async def test_without_a_token_nothing_can_be_asked(relay: Running, origin: Simulator) -> None:
    await lost(relay, origin)
    await relay.admin("/-/lock", "POST")
    status, answer = await told(relay, SETTLE)
    assert status == 503
    assert "no usable token is held" in answer["error"]


async def test_an_id_of_no_call_and_one_of_several_are_told_apart(relay: Running, origin: Simulator) -> None:
    await pay(relay)
    await lost(relay, origin)
    for path in (f"{SETTLE}?id=order-9", "/-/ledger/order-9/resolve"):
        status, answer = await told(relay, path, data=EXECUTED)
        assert status == 404
        assert answer["error"].startswith("no call in the ledger")
    for path in (f"{SETTLE}?id=order-1", "/-/ledger/order-1/resolve"):
        status, answer = await told(relay, path, data=EXECUTED)
        assert status == 409
        assert "2 (create_payin), 1 (create_payin)" in answer["error"]


async def test_the_command_shows_what_was_found_and_its_exit_code_what_was_not(
    relay: Running, origin: Simulator
) -> None:
    nothing = await typed(relay, "settle")
    assert (nothing.code, nothing.out, nothing.err) == (0, "nothing is left to find out\n", "")
    await lost(relay, origin)
    origin.add_fault(Fault(Kind.STATUS, "get_transaction_status", status=404))
    vain = await typed(relay, "settle", "order-1")
    assert vain.code == 1
    assert vain.out.startswith("1 create_payin: not known; asks: 1, next in ")
    found = await typed(relay, "settle")
    assert (found.code, found.out) == (0, "1 create_payin: executed (COMPLETED)\n")
    as_json = await typed(relay, "settle", "1", "--json")
    assert json.loads(as_json.out)[0]["settled"] == "executed"
    unknown = await typed(relay, "settle", "order 9")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith("no call in the ledger has this number")


async def test_a_command_that_leaves_calls_out_says_so_and_is_no_success(relay: Running) -> None:
    ledger = relay.sidecar.ledger
    assert ledger is not None
    without_a_read = [intent(instance="dead") for _ in range(AT_ONCE + 1)]
    await ledger.journal.ask(lambda store: begun(store, *without_a_read))
    await ledger.renew()
    cut = await typed(relay, "settle")
    assert (cut.code, cut.out.count("undetermined")) == (1, AT_ONCE)
    assert cut.err == "these are the newest; the sidecar asks about the others by itself\n"
    rest = await typed(relay, "settle")
    assert (rest.code, rest.out, rest.err) == (0, "1 create_payout: undetermined\n", "")


async def test_an_id_that_is_no_text_is_that_of_no_call(relay: Running, origin: Simulator) -> None:
    await lost(relay, origin)
    for path in (f"{SETTLE}?id=%FF", "/-/ledger/%FF/resolve"):
        status, answer = await told(relay, path, data=EXECUTED)
        assert (status, answer["error"].startswith("no call in the ledger")) == (404, True)
    typed_so = await typed(relay, "settle", "order-\udcff")  # as Python holds the byte 0xFF of an argument
    assert (typed_so.code, typed_so.out) == (1, "")
    assert typed_so.err.startswith("no call in the ledger")


async def test_without_a_sidecar_the_command_says_so() -> None:
    finished = await ran("ledger", "settle", settings={"PROXY_ADMIN_LISTEN": "127.0.0.1:1"})
    assert (finished.code, finished.out) == (1, "")
    assert "is `serve` running there?" in finished.err


async def test_a_sidecar_without_a_ledger_says_so(origin: Simulator) -> None:
    async with sidecar(settings_for(origin.url)) as relay:
        expected = {"error": "this sidecar keeps no ledger: PROXY_LEDGER is off"}
        for path in (SETTLE, "/-/ledger/1/resolve"):
            assert await told(relay, path) == (404, expected)
        assert (await typed(relay, "settle")).err == expected["error"] + "\n"


# resolve


async def test_a_webhook_s_word_settles_the_call(relay: Running, origin: Simulator, tmp_path: Path) -> None:
    await lost(relay, origin, "order/1 ü")
    status, answer = await told(relay, "/-/ledger/order%2F1%20%C3%BC/resolve", data=EXECUTED)
    assert (status, answer["settled"], answer["detail"]) == (200, "executed", "webhook")
    (row,) = ledger_rows_of(tmp_path)
    assert (row["settled"], row["detail"], row["next_ask"]) == ("executed", "webhook", None)
    assert await told(relay, SETTLE) == (200, {"calls": []})


async def test_an_external_id_that_is_called_one_is_never_the_number_of_another_payment(
    relay: Running, origin: Simulator, tmp_path: Path
) -> None:
    await lost(relay, origin, "2")
    await lost(relay, origin, "7001")
    status, _ = await told(relay, "/-/ledger/1/resolve?by=external_id", data=EXECUTED)
    assert status == 404
    status, answer = await told(relay, "/-/ledger/2/resolve?by=external_id", data=EXECUTED)
    assert (status, answer["number"]) == (200, 1)
    assert (await told(relay, "/-/ledger/2/resolve?by=number", data=EXECUTED))[0] == 400
    assert [row["settled"] for row in ledger_rows_of(tmp_path)] == ["executed", None]


async def test_after_not_executed_the_same_payment_is_no_repeat(relay: Running, origin: Simulator) -> None:
    origin.add_fault(Fault(Kind.DROP_BEFORE_READ, "create_payin"))
    assert (await pay(relay))[0] == 502
    await until_ended(relay)
    await told(relay, "/-/ledger/1/resolve", data=json.dumps({"as": "not_executed"}))
    status, _, duplicate_of = await pay(relay)
    assert (status, duplicate_of) == (201, None)


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        (b"", "as: executed, not_executed"),
        (b"executed", "as: executed, not_executed"),
        (b"[]", "as: executed, not_executed"),
        (b'{"as": "undetermined"}', "as: executed, not_executed"),
        (b'{"as": "secret-word"}', "as: executed, not_executed"),
        (b'{"as": "executed", "note": 1}', "as: executed, not_executed"),
        (b'{"as": "executed", "note": "4111111111111111"}', "looks like a card number"),
        (b'{"as": ' + b"[" * 100_000, "as: executed, not_executed"),
    ],
)
async def test_a_body_that_says_nothing_usable_changes_nothing(
    relay: Running, origin: Simulator, tmp_path: Path, body: bytes, fix: str
) -> None:
    await lost(relay, origin)
    status, answer = await told(relay, "/-/ledger/1/resolve", data=body)
    assert status == 400
    assert fix in answer["error"]
    assert "secret-word" not in answer["error"]
    assert ledger_rows_of(tmp_path)[0]["settled"] is None


async def test_the_commands_need_the_admin_key_and_come_from_no_page(origin: Simulator, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("an-invented-admin-key")
    key.chmod(0o600)
    settings = settings_for(origin.url, ledger=LedgerFile(tmp_path / "ledger.db"), admin_key_file=key)
    async with sidecar(settings) as relay:
        await relay.post("/api/payin", {**PAYIN, "externalId": "order-1", "amount": 5})
        for path in (SETTLE, "/-/ledger/1/resolve"):
            assert (await relay.admin(path, "POST", data=EXECUTED))[0] == 401
            page = {"Origin": "https://elsewhere.example"}
            assert (await relay.admin(path, "POST", data=EXECUTED, headers=page))[0] == 403
        bearer = {"Authorization": "Bearer an-invented-admin-key"}
        assert (await relay.admin("/-/ledger/1/resolve", "POST", data=EXECUTED, headers=bearer))[0] == 200
        address = relay.sidecar.admin_url.removeprefix("http://")
        with_key = {"PROXY_ADMIN_LISTEN": address, "PROXY_ADMIN_KEY_FILE": str(key)}
        assert (await ran("ledger", "settle", settings=with_key)).code == 0
        assert (await ran("ledger", "settle", settings={"PROXY_ADMIN_LISTEN": address})).code == 1


def ledger_rows_of(folder: Path) -> list[dict[str, Any]]:
    return ledger_rows(folder / "ledger.db")
