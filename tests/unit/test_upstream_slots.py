"""Never more places are taken than there are, whoever waits longest comes first, and no place is ever lost."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.upstream.waiting import Slots

if TYPE_CHECKING:
    from collections.abc import Coroutine

TURNS = 3  # of the loop, in which everything that was handed on is taken
STEP = st.sampled_from(("take", "wait", "wait", "give back", "give up", "give back, and its taker gives up"))


class Model:
    """What must be true, told without futures: who holds a place, and who waits in which order."""

    def __init__(self, most: int) -> None:
        self.slots = Slots(most)
        self.most = most
        self.held = 0
        self.waiting: deque[asyncio.Task[None]] = deque()

    async def take(self) -> None:
        free = self.held < self.most and not self.waiting
        assert self.slots.free == free
        assert self.slots.take() == free
        self.held += free

    async def wait(self) -> None:
        if self.slots.free:  # as the pool does
            return
        self.waiting.append(asyncio.create_task(self.slots.wait()))
        await settled()

    async def give_back(self) -> None:
        if not self.held:
            return
        self.slots.give_back()
        await settled()
        self.held -= 1
        await self.handed_on()

    async def give_up(self) -> None:
        if self.waiting:
            given_up = self.waiting[len(self.waiting) // 2]
            self.waiting.remove(given_up)
            given_up.cancel()
            await settled()
            assert given_up.cancelled()

    async def give_back_and_give_up(self) -> None:
        if not self.held or not self.waiting:
            return
        self.slots.give_back()
        first = self.waiting.popleft()
        first.cancel()  # in the turn in which the place was handed to it
        await settled()
        assert first.cancelled()
        self.held -= 1
        await self.handed_on()

    async def handed_on(self) -> None:
        """The longest waiting has it, and nobody else."""
        if self.waiting:
            assert self.waiting.popleft().done()
            self.held += 1
        assert not any(task.done() for task in self.waiting)


async def settled() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def carry_out(most: int, steps: list[str]) -> None:
    model = Model(most)
    for _ in range(most):
        await model.take()
    for step in steps:
        match step:
            case "take":
                await model.take()
            case "wait":
                await model.wait()
            case "give back":
                await model.give_back()
            case "give up":
                await model.give_up()
            case _:
                await model.give_back_and_give_up()
        assert model.held <= most
        assert model.slots.free == (model.held < most and not model.waiting)
    while model.waiting:
        await model.give_up()
    while model.held:
        await model.give_back()
    assert [model.slots.take() for _ in range(most + 1)] == [True] * most + [False]


def run(work: Coroutine[object, object, None]) -> None:
    with asyncio.Runner() as runner:
        runner.run(work)


@settings(max_examples=300)
@given(st.integers(1, 3), st.lists(STEP, min_size=6, max_size=30))
def test_places_are_never_lost_doubled_or_given_out_of_turn(most: int, steps: list[str]) -> None:
    run(carry_out(most, steps))


async def test_whoever_waits_longest_comes_first() -> None:
    slots, order = Slots(1), list[int]()
    assert slots.take()

    async def waits(number: int) -> None:
        await slots.wait()
        order.append(number)

    tasks = [asyncio.create_task(waits(number)) for number in range(3)]
    await settled()
    for count in range(3):
        slots.give_back()
        await settled()
        assert order == list(range(count + 1))
    await asyncio.gather(*tasks)


async def test_nobody_takes_a_place_past_one_who_waits() -> None:
    slots = Slots(1)
    assert slots.take()
    waits = asyncio.create_task(slots.wait())
    await settled()
    slots.give_back()
    assert not slots.take()  # it was handed over, though its taker has not run yet
    await waits
    assert not slots.free


@pytest.mark.parametrize("turns", range(4))
async def test_a_place_that_was_handed_to_one_who_gives_up_goes_to_the_next(turns: int) -> None:
    slots = Slots(1)
    assert slots.take()
    first, second = (asyncio.create_task(slots.wait()) for _ in range(2))
    await settled()
    slots.give_back()
    for _ in range(turns):
        await asyncio.sleep(0)
    had_it = first.done()
    first.cancel()
    await settled()
    assert second.done() != had_it
    if had_it:
        slots.give_back()
    await settled()
    assert second.done()
    slots.give_back()
    assert slots.free


async def test_a_place_that_is_given_back_while_the_last_one_gives_up_is_there_for_the_next_to_come() -> None:
    slots = Slots(1)
    assert slots.take()
    gives_up = asyncio.create_task(slots.wait())
    await settled()
    gives_up.cancel()
    slots.give_back()  # in the same exchange: the one who gave up has yet to be told
    assert slots.take()
    await settled()
    assert not slots.free
    slots.give_back()
    assert slots.take()
