"""Writes the figures as tables in Markdown, between two marks of a page that people write."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from tests.benchmarks.figures import FIGURES, OURS, TARGETS, Figure, ratio, spread, times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.benchmarks.figures import Samples, Target

BEGIN: Final = "<!-- figures: written by `make bench`, do not edit -->"
END: Final = "<!-- end of figures -->"
PEER: Final = "envoy"


def told(samples: Samples, order: Sequence[str], machine: Mapping[str, str], remarks: Sequence[str]) -> str:
    """Return all there is to say.

    Args:
        samples: what was measured.
        order: of the contenders.
        machine: facts about the machine.
        remarks: sentences on how it went.
    """
    parts = [
        "### Targets",
        _targets(samples),
        "### Medians",
        _medians(samples, order),
        "### The machine, and how it went",
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine.items())]),
        "\n".join(f"- {remark}" for remark in remarks),
    ]
    return "\n\n".join(parts)


def placed(page: str, told: str) -> str:
    """Put the text between the page's marks.

    Raises:
        ValueError: the page lacks them.
    """
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        message = f"the page has no place for figures: it needs the lines {BEGIN} and {END}"
        raise ValueError(message)
    return f"{before}{BEGIN}\n\n{told}\n\n{END}{after}"


def _targets(samples: Samples) -> str:
    rows = ["| figure | target | measured | |", "|---|---|---|---|", *(_verdict(target, samples) for target in TARGETS)]
    return "\n".join(rows)


def _verdict(target: Target, samples: Samples) -> str:
    sign = "≥" if target.figure.more_is_better else "≤"
    other = "" if target.against is None else f" {target.against}"
    wanted = f"{sign} {target.shown(target.bound)}{other}"
    if target.stretch is not None:
        wanted += f" (better {target.shown(target.stretch)})"
    value = target.measured(samples)
    if value is None:
        return f"| {target.figure.title} | {wanted} | | not measured |"
    said = "met" if target.met(value) else "**not met**"
    if target.stretched(value):
        said = "met, and the better one too"
    return f"| {target.figure.title} | {wanted} | {target.shown(value)} | {said} |"


def _medians(samples: Samples, order: Sequence[str]) -> str:
    rows = [f"| figure | {' | '.join(order)} | {OURS} / {PEER} |", "|---|" + "--:|" * (len(order) + 1)]
    for figure in FIGURES:
        found = samples[figure.key]
        against = ratio(found.get(OURS, ()), found.get(PEER, ()))
        cells = [_cell(figure, found.get(name, ())) for name in order]
        rows.append(f"| {figure.title} | {' | '.join(cells)} | {'' if against is None else times(against)} |")
    return "\n".join(rows)


def _cell(figure: Figure, values: Sequence[float]) -> str:
    return f"{figure.shown(median(values))} ±{spread(values) / 2:.0%}" if values else ""
