"""A payment whose external id no text can carry is answered like any other."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from proxy.config.ledger_place import ledger_place
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("with_ledger", [False, True])
@pytest.mark.parametrize("escaped", [r"\ud800", r"\udfff", r"x\ud83dx", r"\u0000"])
async def test_a_lost_answer_is_told_as_unknown_whatever_the_id_holds(
    tmp_path: Path, escaped: str, *, with_ledger: bool
) -> None:
    body = '{"externalId": "%s", "amount": 1, "currency": "USD"}' % escaped  # noqa: UP031 - braces all over
    async with Simulator() as localpayment:
        place = ledger_place(f"sqlite:{tmp_path}/ledger.db" if with_ledger else "off")
        async with sidecar(dataclasses.replace(settings_for(localpayment.url), ledger=place)) as relay:
            localpayment.add_fault(Fault(Kind.DROP_AFTER_READ, operation="create_payin"))
            json_type = {"Content-Type": "application/json"}
            async with relay.session.post(f"{relay.url}/api/payin", data=body, headers=json_type) as answer:
                problem = json.loads(await answer.read())
    assert (answer.status, problem["outcome"], problem.get("check")) == (502, "unknown", None)
