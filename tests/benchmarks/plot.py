"""Draws the contenders' rates side by side: one SVG, readable on light and on dark pages."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from tests.benchmarks.figures import OURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.benchmarks.figures import Figure, Samples

WIDTH: Final = 760
_LEFT: Final = 90  # pixels for names
_RIGHT: Final = 110  # pixels for numbers
_BAR: Final = 18
_GAP: Final = 6
_TITLE: Final = 34
_STYLE: Final = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-weight:600}.bar{fill:#8c959f}.ours{fill:#1f6feb}"
    ".whisker{stroke:#57606a;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#adbac7}.whisker{stroke:#adbac7}}"
)


@dataclass(frozen=True, slots=True)
class _Bar:
    name: str
    lower: float
    middle: float
    upper: float


def bars(samples: Samples, figures: Sequence[Figure], order: Sequence[str]) -> str:
    """Draw a group of bars for each figure: medians, with the quartiles as whiskers."""
    parts: list[str] = []
    top = 0
    for figure in figures:
        group = [_bar(name, samples[figure.key][name]) for name in order if samples[figure.key].get(name)]
        parts.append(f'<text class="title" x="0" y="{top + 20}">{escape(figure.title)}</text>')
        top += _TITLE
        scale = (WIDTH - _LEFT - _RIGHT) / max(bar.upper for bar in group)
        for bar in group:
            parts.append(_drawn(bar, top, scale, figure))
            top += _BAR + _GAP
        top += _GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" role="img">'
    title = f"<title>{escape(', '.join(figure.title for figure in figures))}</title>"
    return "\n".join([head, title, f"<style>{_STYLE}</style>", *parts, "</svg>", ""])


def _bar(name: str, values: Sequence[float]) -> _Bar:
    middle = median(values)
    lower, _, upper = quantiles(values, n=4, method="inclusive") if len(values) > 1 else (middle, middle, middle)
    return _Bar(name, lower, middle, upper)


def _drawn(bar: _Bar, top: int, scale: float, figure: Figure) -> str:
    middle = top + _BAR / 2
    end = _LEFT + bar.middle * scale
    kind = "bar ours" if bar.name == OURS else "bar"
    shapes: Mapping[str, str] = {
        "name": f'<text x="{_LEFT - 8}" y="{middle + 4.5}" text-anchor="end">{escape(bar.name)}</text>',
        "bar": f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{bar.middle * scale:.1f}" height="{_BAR}"/>',
        "whisker": f'<line class="whisker" x1="{_LEFT + bar.lower * scale:.1f}" x2="{_LEFT + bar.upper * scale:.1f}" '
        f'y1="{middle}" y2="{middle}"/>',
        "number": f'<text x="{max(end, _LEFT + bar.upper * scale) + 8:.1f}" y="{middle + 4.5}">'
        f"{escape(figure.shown(bar.middle))}</text>",
    }
    return "".join(shapes.values())
