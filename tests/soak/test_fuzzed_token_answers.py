"""A sidecar lives, and is ready again, after thousands of answers of its token endpoint that no one foresaw.

Meets FUZZED_ANSWERS of them over real sockets, 1,000 by default; `make soak` meets 10,000.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

import pytest

from tests.support.fuzzed_tokens import Fuzzer, HastyClock, good, on_the_wire
from tests.support.scripted_origin import Wire, origin
from tests.support.sidecars import settings_for, sidecar

ANSWERS: Final = int(os.environ.get("FUZZED_ANSWERS", "1000"))


@pytest.mark.slow
@pytest.mark.timeout(60 + ANSWERS / 50)
async def test_a_sidecar_outlives_answers_that_no_one_foresaw() -> None:
    clock, fuzzer = HastyClock(), Fuzzer(seed=41)
    asked = 0

    async def script(wire: Wire) -> None:
        nonlocal asked
        asked += 1
        await wire.request()
        await wire.send(on_the_wire(fuzzer.answer(clock.wall()) if asked <= ANSWERS else good(clock.wall(), asked)))

    async with origin(script) as served:
        settings = settings_for(f"http://127.0.0.1:{served.at.port}", credentials_interval=3600.0)
        async with sidecar(settings, ready=False, clock=clock) as relay:
            clock.is_over = lambda: asked > ANSWERS and relay.sidecar.keeper.ready
            run = asyncio.create_task(relay.sidecar.run())
            over = asyncio.create_task(clock.over.wait())
            await asyncio.wait((run, over), return_when=asyncio.FIRST_COMPLETED)
            assert not run.done(), "a loop has ended"
            assert (await relay.admin("/readyz"))[0] == 200
            results = {line["result"] for line in relay.lines("token.fetch_failed")}
            assert "malformed" in results
            assert results <= {"malformed", "no_progress"}
            assert relay.lines("observer.failed") == []
            run.cancel()
            over.cancel()
