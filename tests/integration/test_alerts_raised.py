"""Every alert that is shipped is raised by a real Prometheus when what it is for happens to a real sidecar.

What is made faster: Prometheus scrapes and evaluates FACTOR times as often, and in a copy of the rules every duration
below a day is divided by FACTOR (support/prometheus.py). Where the life of a token matters, the sidecar's clock runs
FACTOR times as fast too (scenes/stage.py). No threshold is touched, but for the 120 seconds of a drain, which
Prometheus compares with its own clock. Days stay days: the week that the rules on unusual activity look back to is
imported.

None is left out. That each alert is silent before, and resolves, is for promtool's unit tests, which need no time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.scenes import calls, ledgers, sidecars, tokens
from tests.scenes.stage import FACTOR
from tests.support.prometheus import alerts, compressed, configuration, imported, needs_prometheus, prometheus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.scenes.stage import Scene

# So many sidecars are scraped at a time as one processor can serve; each group has a healthy one.
GROUPS = (
    (
        calls.full,
        calls.healthy,
        calls.odd_traffic,
        calls.slow_answers,
        calls.unusual_activity,
        ledgers.ledger_is_locked,
        ledgers.payments_are_repeated,
        ledgers.payments_were_left_behind,
    ),
    (
        calls.healthy,
        tokens.logins_hang,
        tokens.no_other_token,
        tokens.password_changes,
        tokens.renewal_fails,
        tokens.renewal_lags,
        tokens.tokens_refused,
        sidecars.disk_is_full,
        sidecars.drain_is_stuck,
        sidecars.sidecar_ends,
    ),
)
PATIENCE = 180.0  # seconds; all are raised after forty on a machine that does nothing else
WEEK = 7.2  # days of the past that is imported
BEFORE = 3 * 3600.0  # seconds before now at which it ends: Prometheus keeps the last hours in another form
FIRING = 'ALERTS{alertstate="firing"}'


@pytest.mark.slow
@pytest.mark.alone  # Prometheus asks every half a second, which other tests would make it miss
@pytest.mark.timeout(600)
@needs_prometheus("WHETHER THE ALERTS ARE EVER RAISED IS")
async def test_what_an_alert_is_for_raises_it_and_a_healthy_sidecar_raises_none(tmp_path: Path) -> None:
    have_scenes: set[str] = set()
    for number, group in enumerate(GROUPS):
        folder = tmp_path / str(number)
        folder.mkdir()
        have_scenes |= await all_raised(folder, group)
    assert have_scenes == alerts(), "an alert has no scene"


async def all_raised(folder: Path, group: Sequence[Callable[[Path], AbstractAsyncContextManager[Scene]]]) -> set[str]:
    """Have the scenes raise their alerts, and return these."""
    async with contextlib.AsyncExitStack() as stack:
        scenes = [await stack.enter_async_context(scene(folder)) for scene in group]
        for scene in scenes:
            if scene.past:
                await asyncio.to_thread(imported, folder, scene.past, WEEK, BEFORE)
        file = configuration(folder, {scene.job: scene.target for scene in scenes}, FACTOR)
        ask = await stack.enter_async_context(prometheus(folder, file))
        await seen_well(ask, scenes)
        early = {one["metric"]["job"] for one in await ask(FIRING)}
        assert early <= {scene.job for scene in scenes if scene.ill}, "raised before anything happened"
        happening = [asyncio.ensure_future(scene.happen()) for scene in scenes]
        try:
            raised = await until_raised(ask, scenes, happening)
        finally:
            for task in happening:
                task.cancel()
            await asyncio.wait(happening)
    assert not [alert for job, alert in raised if job == "healthy"]
    return {alert for scene in scenes for alert in scene.raises}


async def seen_well(ask: Any, scenes: list[Scene]) -> None:
    """Wait until each sidecar was scraped twice, so that what it counts has a beginning."""
    twice = "count_over_time(up[1m]) >= 2 and up == 1"
    async with asyncio.timeout(PATIENCE):
        while len(await ask(twice)) < len(scenes):  # noqa: ASYNC110 - Prometheus tells nobody
            await asyncio.sleep(0.2)


async def until_raised(ask: Any, scenes: list[Scene], happening: list[Any]) -> set[tuple[str, str]]:
    """Return every alert that was raised, with its job, once all of the scenes' were."""
    awaited = {(scene.job, alert) for scene in scenes for alert in scene.raises}
    raised: set[tuple[str, str]] = set()
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            while not awaited <= raised:
                for task in happening:
                    assert not task.done(), task.exception()
                now = {(one["metric"]["job"], one["metric"]["alertname"]) for one in await ask(FIRING)}
                for job, alert in sorted(now - raised):
                    sys.stdout.write(f"{time.monotonic() - began:5.1f} s  {job:<20} {alert}\n")
                raised |= now
                await asyncio.sleep(0.5)
    except TimeoutError:
        pytest.fail(f"never raised: {sorted(awaited - raised)}")
    return raised


def test_durations_below_a_day_are_divided_and_nothing_else_is_touched() -> None:
    text = """
    groups:
      - name: a
        interval: 5m
        rules:
          - record: a:rate5m
            expr: rate(b_5m[5m]) > 60 unless max_over_time(b[7d] offset 20m) and b offset 1d
          - alert: LocalpaymentProxyDrainStuck
            expr: time() - b > 120
            for: 15s
    """
    made = " ".join(compressed(text, 30).split())
    assert "interval: 10000ms" in made
    assert "rate(b_5m[10000ms]) > 60 unless max_over_time(b[7d] offset 40000ms) and b offset 1d" in made
    assert "time() - b > 4 for: 500ms" in made
