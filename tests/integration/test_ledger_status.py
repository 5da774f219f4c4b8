"""What the status page and the terminal show of the outcome ledger."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from proxy.config import LedgerFile
from proxy.ledger.entry import State
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.ledgers import ended, intent, pay, ticket, until_ended
from tests.support.processes import ran
from tests.support.sidecars import Running, settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HTML = {"Accept": "text/html"}


@pytest.fixture
async def origin() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
async def relay(origin: Simulator, tmp_path: Path) -> AsyncIterator[Running]:
    async with sidecar(settings_for(origin.url, ledger=LedgerFile(tmp_path / "ledger.db"))) as running:
        yield running


async def looked_after(relay: Running) -> None:
    """Have the ledger's next round now."""
    assert relay.sidecar.ledger is not None
    await relay.sidecar.ledger.look_after()


async def test_an_empty_ledger_is_good_news(relay: Running) -> None:
    await looked_after(relay)
    page = (await relay.admin("/status", headers=HTML))[1]
    assert "No call waits to be settled." in page
    assert "Not settled" not in page
    assert "Settled lately" not in page


async def test_a_call_is_shown_until_it_is_settled_and_then_among_those_settled_lately(
    relay: Running, origin: Simulator
) -> None:
    origin.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payin"))
    status, problem, _ = await pay(relay)
    await until_ended(relay)
    await looked_after(relay)
    view = json.loads((await relay.admin("/status"))[1])["ledger"]
    (call,) = view["unsettled"]
    assert (status, call["operation"], call["state"], view["settled"]) == (502, "create_payin", "unknown", [])
    assert (call["request_id"], view["oldest"]) == (problem["request_id"], call["at"])
    page = (await relay.admin("/status", headers=HTML))[1]
    assert "Calls are not settled. Age of the oldest:" in page
    assert problem["request_id"] in page
    address = relay.sidecar.admin_url.removeprefix("http://")
    shown = await ran("status", settings={"PROXY_ADMIN_LISTEN": address})
    assert "calls are not settled, the oldest for" in shown.out

    await relay.admin("/-/ledger/settle", "POST")
    await looked_after(relay)
    view = json.loads((await relay.admin("/status"))[1])["ledger"]
    (call,) = view["settled"]
    assert (call["settled"], call["detail"], view["unsettled"]) == ("executed", "COMPLETED", [])
    page = (await relay.admin("/status", headers=HTML))[1]
    assert "executed (COMPLETED)" in page
    shown = await ran("status", settings={"PROXY_ADMIN_LISTEN": address})
    assert "create_payin executed (COMPLETED) after unknown" in shown.out
    assert "order-1" not in page + json.dumps(view)


async def test_a_ledger_that_cannot_be_written_is_told(relay: Running) -> None:
    assert relay.sidecar.ledger is not None
    relay.sidecar.ledger.fault = "ledger.db: <disk full>"
    page = (await relay.admin("/status", headers=HTML))[1]
    assert "It cannot be written: ledger.db: &lt;disk full&gt;" in page
    assert "No call waits" not in page


async def test_a_call_whose_fate_cannot_be_found_out_is_no_good_news(relay: Running) -> None:
    ledger = relay.sidecar.ledger
    assert ledger is not None
    one = ticket(intent(""))
    await ledger.journal.ask(lambda store: store.write([one], []))
    await ledger.journal.ask(lambda store: store.write([], [ended(one, State.UNKNOWN, 0)]))
    await relay.admin("/-/ledger/settle", "POST")
    page = (await relay.admin("/status", headers=HTML))[1]
    assert "It could not be found out what became of a call" in page
    shown = await ran("status", settings={"PROXY_ADMIN_LISTEN": relay.sidecar.admin_url.removeprefix("http://")})
    assert "ledger    what became of a call is unknown: ask Localpayment" in shown.out


@pytest.mark.parametrize("by", ["command", "webhook"])
async def test_what_a_person_says_of_a_call_takes_the_place_of_what_was_found_out(
    relay: Running, tmp_path: Path, by: str
) -> None:
    ledger = relay.sidecar.ledger
    assert ledger is not None
    one = ticket(intent("order-1", check=""))
    await ledger.journal.ask(lambda store: store.write([one], []))
    await ledger.journal.ask(lambda store: store.write([], [ended(one, State.UNKNOWN, 0)]))
    await relay.admin("/-/ledger/settle", "POST")
    assert "undetermined" in (await relay.admin("/status", headers=HTML))[1]
    if by == "command":
        place = {"PROXY_LEDGER": f"sqlite:{tmp_path / 'ledger.db'}"}
        said = await ran("ledger", "resolve", "1", "--as", "executed", "--note", "ticket 4711", settings=place)
        assert said.code == 0
        await looked_after(relay)
    else:
        note = json.dumps({"as": "executed", "note": "ticket 4711"})
        assert (await relay.admin("/-/ledger/1/resolve", "POST", data=note))[0] == 200
    page = (await relay.admin("/status", headers=HTML))[1]
    assert "create_payout executed after unknown" in re.sub("<[^>]*>", "", page)
    assert "ticket 4711" not in page
    assert "undetermined" not in page
    assert "It could not be found out" not in page
    address = relay.sidecar.admin_url.removeprefix("http://")
    shown = await ran("status", settings={"PROXY_ADMIN_LISTEN": address})
    assert "create_payout executed after unknown" in shown.out
    assert "undetermined" not in shown.out


async def test_a_call_that_a_person_settles_is_shown_among_those_settled_lately(
    relay: Running, origin: Simulator
) -> None:
    origin.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payin"))
    await pay(relay)
    await until_ended(relay)
    await looked_after(relay)
    note = json.dumps({"as": "not_executed", "note": "order-1 is not on the statement"})
    assert (await relay.admin("/-/ledger/1/resolve", "POST", data=note))[0] == 200
    view = json.loads((await relay.admin("/status"))[1])["ledger"]
    (call,) = view["settled"]
    assert (call["settled"], call["detail"], view["unsettled"]) == ("not_executed", "", [])


async def test_without_a_ledger_the_page_shows_what_this_process_saw(origin: Simulator) -> None:
    async with sidecar(settings_for(origin.url)) as relay:
        assert json.loads((await relay.admin("/status"))[1])["ledger"] is None
        assert "Unknown outcomes" in (await relay.admin("/status", headers=HTML))[1]
