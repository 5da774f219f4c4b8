"""What went express and is sent once more holds nothing that the first attempt did not."""

from __future__ import annotations

import pytest

from proxy.config.required_header import RequiredHeader
from tests.integration.test_relay_unauthorized import CHALLENGE, declined, first
from tests.origins import calling, localpayment, request
from tests.sidecars import settings_for, sidecar

PROOF = "invented-and-shared-with-callers"
FIELDS = ("X-Mesh-Proof: " + PROOF, "Cookie: session=invented", "X-Capture: true")
REQUIRED = RequiredHeader("X-Mesh-Proof", PROOF)


@pytest.mark.parametrize("carried", ["express"], indirect=True)
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
