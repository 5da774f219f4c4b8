"""What was sent at once holds nothing longer than it must, and is not sent again with more than at first."""

from __future__ import annotations

import gc

import pytest

from proxy.config.addresses import RequiredHeader
from proxy.relay.call import Call
from proxy.upstream.exchange import Exchange
from tests.support.origins import calling, greeting, localpayment, request
from tests.support.refused_tokens import CHALLENGE, declined, first
from tests.support.sidecars import settings_for, sidecar

PROOF = "invented-and-shared-with-callers"
FIELDS = ("X-Mesh-Proof: " + PROOF, "Cookie: session=invented", "X-Capture: true")
REQUIRED = RequiredHeader("X-Mesh-Proof", PROOF)


@pytest.mark.parametrize("carried", ["at_once"], indirect=True)
async def test_a_call_that_was_declined_goes_out_again_without_the_field_that_let_it_in() -> None:
    async with (
        localpayment(first(declined(fields=CHALLENGE))) as there,
        sidecar(settings_for(there.url, required_header=REQUIRED)) as relay,
        calling(relay) as caller,
    ):
        await caller.send(request("POST", "/api/payout", *FIELDS, body=b"{}"))
        assert (await caller.one()).status == 200
        attempts = there.calls.split(b"POST /api/payout ")[1:]
        assert len(attempts) == 2
        assert PROOF.encode() not in there.calls
        assert b"Cookie" not in there.calls
        assert attempts[1].count(b"X-Capture: true") == 1


@pytest.mark.parametrize("carried", ["at_once"], indirect=True)
async def test_nothing_of_a_call_that_was_sent_at_once_waits_for_the_collector_of_garbage() -> None:
    gc.collect()
    before = {id(thing) for thing in gc.get_objects() if isinstance(thing, Call | Exchange)}
    gc.disable()
    try:
        async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay, calling(relay) as caller:
            for _ in range(3):
                await caller.send(b"GET /api/resources/banks HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert (await caller.one()).status == 200
            assert len(there.wires) == 1
            left = [thing for thing in gc.get_objects() if isinstance(thing, Call | Exchange)]
            assert [thing for thing in left if id(thing) not in before] == []
    finally:
        gc.enable()
