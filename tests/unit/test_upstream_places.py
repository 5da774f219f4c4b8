"""A place that comes back in the moment in which someone gives up waiting is there for the next."""

from __future__ import annotations

import asyncio
import contextlib

from proxy.upstream.slots import Slots


async def test_a_place_is_free_although_one_who_gave_up_still_stands_in_the_queue() -> None:
    slots = Slots(1)
    assert slots.take()
    impatient = asyncio.create_task(slots.wait())
    await asyncio.sleep(0)
    impatient.cancel()
    slots.give_back()
    assert slots.take()
    with contextlib.suppress(asyncio.CancelledError):
        await impatient
    assert not slots.free
    slots.give_back()
    assert slots.free
