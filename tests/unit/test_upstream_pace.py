"""Handshakes take a share of the event loop: one step a turn, and more when turns are long."""

from __future__ import annotations

import asyncio

import pytest

from proxy.upstream.connecting.pace import SHARE, Pace

STEP = 0.001  # seconds that each takes here


@pytest.mark.parametrize(("turn", "steps"), [(0.0, 1), (0.5 * STEP / SHARE, 1), (2.5 * STEP / SHARE, 3), (1.0, 20)])
async def test_steps_take_a_share_of_a_turn_and_at_least_one_is_done(turn: float, steps: int) -> None:
    moment, done = [0.0], [0]

    def step() -> None:
        moment[0] += STEP
        done[0] += 1

    pace = Pace(lambda: moment[0])
    for _ in range(20):
        pace.run(step)
    moment[0] += turn  # what the loop has else to do
    await asyncio.sleep(0)
    assert done == [steps]


async def test_a_step_that_fails_keeps_none_behind_it_from_being_done() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    done = asyncio.Event()

    def fails() -> None:
        raise ZeroDivisionError

    pace = Pace(lambda: 0.0)
    pace.run(fails)
    pace.run(done.set)
    await asyncio.wait_for(done.wait(), 20.0)
    assert [type(one) for one in failures] == [ZeroDivisionError]
