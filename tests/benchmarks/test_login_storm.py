"""What docs/scale.md says of 500 sidecars is what the simulation shows, and jitter bounds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.tokens.backoff import RETRY_CAP_DEAD
from proxy.tokens.model import Grant
from tests.benchmarks.login_storm import LATENCY, SCENES, SIDECARS, Storm, seen, table

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
OUTAGE = 60.0  # seconds, as the scenes' names say


@pytest.fixture(scope="module")
def storms() -> dict[str, Storm]:
    return seen()


def test_the_page_shows_what_the_simulation_prints(storms: dict[str, Storm]) -> None:
    fix = "put there what `python -m tests.benchmarks.login_storm` prints"
    assert table(storms) in PAGE.read_text(encoding="utf-8"), f"docs/scale.md is stale: {fix}"


def test_a_sidecar_logs_in_once_when_it_is_answered(storms: dict[str, Storm]) -> None:
    for scene in ("healthy", "healthy; they start over a minute"):
        assert sum(grant is Grant.PASSWORD for _, grant in storms[scene].asked) == SIDECARS


@pytest.mark.parametrize("scene", [scene for scene in SCENES if not scene.startswith("401")])
def test_refreshes_spread_wide_however_close_the_logins_were(storms: dict[str, Storm], scene: str) -> None:
    assert storms[scene].peak(Grant.REFRESH) <= SIDECARS / 20


def test_after_an_outage_all_are_ready_within_the_longest_pause(storms: dict[str, Storm]) -> None:
    assert storms["503 for the first minute"].ready(1.0) <= OUTAGE + RETRY_CAP_DEAD + 2 * LATENCY


def test_during_an_outage_a_sidecar_asks_every_two_seconds_and_not_in_step(storms: dict[str, Storm]) -> None:
    storm = storms["503 for the first minute"]
    logins = [at for at, grant in storm.asked if grant is Grant.PASSWORD and 10 <= at < OUTAGE]
    assert len(logins) / (OUTAGE - 10) <= SIDECARS / (RETRY_CAP_DEAD / 2)
    assert storm.peak(Grant.PASSWORD, after=10) <= 1.3 * SIDECARS / (RETRY_CAP_DEAD / 2)


def test_a_wrong_password_is_tried_three_times_in_six_minutes(storms: dict[str, Storm]) -> None:
    storm = storms["401: the password is wrong"]
    assert (len(storm.asked), storm.ready_at) == (3 * SIDECARS, [])
