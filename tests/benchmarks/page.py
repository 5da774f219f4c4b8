"""Writes the figures as a table in Markdown, between two marks of a page that people write."""

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
COMPARED: Final = (OURS, PEER)  # whose spread is told


def told(samples: Samples, order: Sequence[str], machine: Mapping[str, str], remarks: Sequence[str]) -> str:
    """Return all there is to say.

    Args:
        samples: what was measured.
        order: of the contenders.
        machine: facts about the machine.
        remarks: sentences on how it went.
    """
    parts = [
        _table(samples, order),
        f"Measured on: {'; '.join(f'{name} {value}' for name, value in machine.items())}.",
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


def _table(samples: Samples, order: Sequence[str]) -> str:
    rows = [f"| figure | {' | '.join(order)} | target, and what was found |", "|---|" + "--:|" * len(order) + "---|"]
    for figure in FIGURES:
        cells = [_cell(figure, samples[figure.key], name) for name in order]
        rows.append(f"| {figure.heading} | {' | '.join(cells)} | {_verdicts(figure, samples)} |")
    return "\n".join(rows)


def _cell(figure: Figure, found: Mapping[str, Sequence[float]], name: str) -> str:
    values = found.get(name, ())
    if not values:
        return ""
    return figure.number(median(values)) + (f" ±{spread(values) / 2:.0%}" if name in COMPARED else "")


def _verdicts(figure: Figure, samples: Samples) -> str:
    """Say what a figure should be and is; without a target, what it is in comparison."""
    targets = [target for target in TARGETS if target.figure is figure]
    if targets:
        return "; ".join(_verdict(target, samples) for target in targets)
    found = samples[figure.key]
    against = ratio(found.get(OURS, ()), found.get(PEER, ()))
    return "" if against is None else f"{times(against)} {PEER}"


def _verdict(target: Target, samples: Samples) -> str:
    sign = "≥" if target.figure.more_is_better else "≤"
    other = "" if target.against is None else f" {target.against}"
    wanted = f"{sign} {target.shown(target.bound)}{other}"
    if target.stretch is not None:
        wanted += f" (better {target.shown(target.stretch)})"
    value = target.measured(samples)
    if value is None:
        return f"{wanted}: not measured"
    said = "met" if target.met(value) else "**not met**"
    if target.stretched(value):
        said = "met, and the better one too"
    return f"{wanted}: {target.shown(value)}, {said}"
