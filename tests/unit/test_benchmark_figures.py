"""Figures of benchmarks: ratios of the same round, spreads, and targets that are met or missed."""

from __future__ import annotations

import json
import os
from xml.etree import ElementTree as ET

import click
import pytest

from tests.benchmarks import load, page, plot
from tests.benchmarks.figures import (
    CPU_32,
    FIGURES,
    IDLER,
    P50_1,
    RATE_1,
    RATE_32,
    READY,
    TARGETS,
    Target,
    ratio,
    spread,
    times,
)
from tests.benchmarks.instructions import CannotCountError, judge, skip, tell
from tests.benchmarks.machine import processor
from tests.benchmarks.running import Slice
from tests.benchmarks.soak import judged
from tests.benchmarks.tools import VGDB, MissingToolError, Tool, require

MISSING = Tool("no-such-program-anywhere", "--version", "write it")
SAMPLES: dict[str, dict[str, list[float]]] = {
    **{figure.key: {} for figure in FIGURES},
    RATE_32.key: {"sidecar": [100.0, 50.0, 130.0], "envoy": [100.0, 100.0, 100.0]},
    RATE_1.key: {"sidecar": [10.0], "envoy": [20.0]},
    READY.key: {"sidecar": [0.4, 0.5, 0.9]},
}


def slices(kib: list[int], costs: list[float]) -> list[Slice]:
    found = load.Load(calls=1, seconds=1.0, p50=0.1, p99=0.2, p999=0.3, failed=0)
    return [Slice(found, cost, 0.0, resident) for resident, cost in zip(kib, costs, strict=True)]


def test_a_ratio_is_that_of_the_same_round() -> None:
    assert ratio([1.0, 10.0, 100.0], [1.0, 5.0, 50.0]) == 2.0


def test_a_ratio_needs_both_sides() -> None:
    assert ratio([1.0], []) is None


def test_a_single_value_has_no_spread() -> None:
    assert spread([3.0]) == 0.0
    assert spread([1.0, 2.0, 3.0]) == 0.5


def test_a_target_is_met_at_its_bound() -> None:
    target = Target(RATE_32, 1.0, "envoy", stretch=1.25)
    assert target.measured(SAMPLES) == 1.0
    assert target.met(1.0)
    assert not target.met(0.99)
    assert target.stretched(1.25)


def test_less_is_better_for_times() -> None:
    target = Target(P50_1, 1.0, "envoy")
    assert target.met(0.9)
    assert not target.met(1.1)
    assert not target.stretched(0.1)


def test_a_target_without_another_is_in_the_figures_own_unit() -> None:
    target = Target(READY, 0.6)
    assert target.measured(SAMPLES) == 0.5
    assert target.shown(0.5) == "0.50 s"


def test_every_target_is_told_whether_measured_or_not() -> None:
    text = page.told(SAMPLES, ["sidecar", "envoy"], {"cores": "2"}, ["three rounds"])
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(FIGURES)
    verdicts = [verdict for row in rows for verdict in row.rpartition("| ")[2].removesuffix(" |").split("; ")]
    told = [verdict for verdict in verdicts if verdict.endswith(("met", "met**", "the better one too", "not measured"))]
    assert len(told) == len(TARGETS)
    assert f"≥ {times(1)} envoy (better {times(1.25)}): {times(1)}, met" in told
    assert f"≥ {times(3)} aiohttp: not measured" in told
    assert "≤ 0.30 s: 0.50 s, **not met**" in told
    assert "cores 2" in text
    assert "- three rounds" in text


def test_figures_replace_those_before_and_nothing_else() -> None:
    before = f"# Title\n\n{page.BEGIN}\nold\n{page.END}\n\nEnd.\n"
    after = page.placed(before, "new")
    assert after == page.placed(after, "new")
    assert after.startswith("# Title\n")
    assert after.endswith("\n\nEnd.\n")
    assert "old" not in after


def test_a_page_without_a_place_for_figures_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no place for figures"):
        page.placed("# Title\n", "new")


def test_the_plot_is_one_picture_with_a_bar_for_each() -> None:
    drawn = ET.fromstring(plot.bars(SAMPLES, [RATE_32, RATE_1], ["sidecar", "envoy", "direct"]))  # noqa: S314 - ours
    shapes = [element.tag.rpartition("}")[2] for element in drawn]
    assert shapes.count("rect") == 4
    assert shapes.count("line") == 4


def test_what_the_load_tells_is_found_among_other_words() -> None:
    figures = '{"calls": 10, "seconds": 2.0, "p50": 0.001, "p99": 0.002, "p999": 0.003, "failed": 1}'
    found = load.read(f"Running 1s test\nRESULT {figures}\nbye\n")
    assert found == load.Load(calls=10, seconds=2.0, p50=0.001, p99=0.002, p999=0.003, failed=1)
    assert found.per_second == 5.0
    assert load.read("unable to connect") is None


def test_a_processor_has_a_name_and_may_be_virtual() -> None:
    text = "processor\t: 0\nmodel name\t: Fast 9000\nflags\t\t: fpu {}\n"
    assert processor(text.format("sse2")) == "Fast 9000"
    assert processor(text.format("hypervisor")) == "Fast 9000, in a virtual machine"
    assert processor("") == "unknown"


def test_each_missing_program_is_named_with_its_fix() -> None:
    with pytest.raises(MissingToolError, match=r"no-such-program-anywhere is missing\. Fix: write it"):
        require([MISSING])


def test_memory_that_levels_out_is_no_leak() -> None:
    verdict = judged(slices([60, 70, 72, 72, 72, 72, 72, 73], [1.0] * 8))
    assert verdict is not None
    assert verdict.level


def test_memory_that_goes_on_growing_is_a_leak() -> None:
    verdict = judged(slices([60, 70, 72, 74, 76, 78, 80, 82], [1.0] * 8))
    assert verdict is not None
    assert not verdict.level


def test_calls_that_become_dearer_are_noticed() -> None:
    verdict = judged(slices([70] * 8, [1.0] * 4 + [1.3] * 4))
    assert verdict is not None
    assert not verdict.level


def test_a_short_soak_has_no_verdict() -> None:
    assert judged(slices([70], [1.0])) is None


def test_a_call_may_become_a_little_dearer() -> None:
    judge(104.0, 100.0, "here")
    with pytest.raises(click.ClickException, match=r"\+6.0% to the baseline"):
        judge(106.0, 100.0, "here")


def test_without_a_baseline_nothing_is_checked_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    judge(100.0, None, "here")
    assert "NOT CHECKED, SKIPPED" in capsys.readouterr().err


def test_the_baseline_that_is_missing_is_told_as_a_line_to_be_added(capsys: pytest.CaptureFixture[str]) -> None:
    judge(1234.4, None, "Python, here")
    line = capsys.readouterr().err.splitlines()[-2]
    assert json.loads("{" + line + "}") == {"Python, here": 1234}


@pytest.mark.skipif(VGDB.path is None, reason="NOT TESTED: apt-get install valgrind")
def test_a_valgrind_that_is_out_of_reach_is_told_apart_from_a_call_that_became_dearer() -> None:
    with pytest.raises(CannotCountError, match="allow ptrace"):
        tell(os.getpid(), "on")


@pytest.mark.parametrize("on_github", [False, True])
def test_on_github_what_was_not_checked_stands_beside_the_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, on_github: bool
) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    if on_github:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
    skip("why\nand how")
    said = capsys.readouterr()
    assert "NOT CHECKED" in said.err
    assert said.out == ("::warning title=NOT CHECKED::the cost of a call: why%0Aand how\n" if on_github else "")


def test_without_a_target_a_figure_is_told_in_comparison_and_with_its_spread() -> None:
    text = page.told(SAMPLES, ["sidecar", "envoy"], {}, [])
    assert f"| calls a second, 1 connection | 10 ±0% | 20 ±0% | {times(0.5)} envoy |" in text


def test_figures_are_told_with_units() -> None:
    assert P50_1.heading == "median time of a call, 1 connection, \N{MICRO SIGN}s"
    assert RATE_1.heading == "calls a second, 1 connection"
    assert CPU_32.shown(12.345) == "12.3 \N{MICRO SIGN}s"
    assert IDLER.shown(1234.0) == "1,234.0 KiB"
