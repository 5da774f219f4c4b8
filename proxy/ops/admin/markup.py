"""Builds HTML. Everything that is not markup is escaped here, and nowhere else.

A template language would be one more dependency for one page; these few functions leave no place to forget escaping.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

HEIGHT: Final = 48
WIDTH: Final = 240


class Markup(str):
    """A text that is HTML already."""

    __slots__ = ()


def html(value: object) -> Markup:
    """Return a value as HTML: markup as it is, None as nothing, anything else escaped."""
    if isinstance(value, Markup):
        return value
    return Markup("" if value is None else escape(str(value)))


def joined(*parts: object, between: str = "") -> Markup:
    """Put parts one behind the other."""
    return Markup(between.join(map(html, parts)))


def titled(title: str, *parts: object) -> Markup:
    """Put a section's title above its parts."""
    return joined(element("h2", title), *parts)


def element(name: str, *content: object, **attributes: object) -> Markup:
    """Make an element; an attribute's underscores are hyphens, one at its end keeps it from being a keyword."""
    texts = (
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{''.join(texts)}>{joined(*content)}</{name}>")


def table(caption: str, headings: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> Markup:
    """Make a table whose first column names its rows; a paragraph that says `empty` without any."""
    if not rows:
        return joined(element("h3", caption), element("p", empty, class_="empty"))
    head = element("tr", *(element("th", heading, scope="col") for heading in headings))
    body = (
        element("tr", element("th", row[0], scope="row"), *(element("td", cell) for cell in row[1:])) for row in rows
    )
    whole = element("table", element("caption", caption), element("thead", head), element("tbody", *body))
    # A box that scrolls must be reachable by keyboard (WCAG 2.1.1).
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def notes(caption: str, items: Sequence[tuple[object, object]], empty: str = "") -> Markup:
    """Make a list of facts, each with a remark below it that is never cut, however narrow the page is."""
    shown = (element("li", fact, element("p", remark) if remark else "") for fact, remark in items)
    told = element("ol", *shown, class_="notes") if items else element("p", empty, class_="empty")
    return joined(element("h3", caption), told)


def pairs(rows: Sequence[tuple[str, object]]) -> Markup:
    """Make a list of terms and what is to be said of each."""
    return element("dl", *(element("div", element("dt", term), element("dd", value)) for term, value in rows))


def clock(at: float) -> Markup:
    """Show a time of day in UTC, given in seconds since the epoch."""
    moment = datetime.fromtimestamp(at, UTC)
    return element("time", f"{moment:%H:%M:%S}", datetime=moment.isoformat(timespec="seconds"))


def countdown(until: float | None) -> Markup:
    """Show how long it is until a moment in seconds since the epoch; the page's script counts."""
    if until is None:
        return Markup("none held")
    moment = datetime.fromtimestamp(until, UTC)
    return element("span", f"until {moment:%Y-%m-%d %H:%M:%S} UTC", data_until=f"{until:.1f}")


def since(begun: float) -> Markup:
    """Show how long ago a moment in seconds since the epoch was; the page's script counts."""
    moment = datetime.fromtimestamp(begun, UTC)
    return element("span", f"since {moment:%Y-%m-%d %H:%M:%S} UTC", data_since=f"{begun:.1f}")


def sparkline(label: str, values: Sequence[float | None], *, kind: str, unit: str) -> Markup:
    """Draw one value for each slice of time as bars, and say its largest in words.

    Args:
        label: what the values are.
        values: oldest first; None where there is none.
        kind: class that chooses the colour.
        unit: written behind the largest value.
    """
    largest = max((value for value in values if value is not None), default=0.0)
    step = WIDTH / max(len(values), 1)
    bars = (
        Markup(
            f'<rect x="{place * step:.1f}" y="{HEIGHT - _height(value, largest):.1f}" width="{step * 0.8:.1f}"'
            f' height="{_height(value, largest):.1f}"></rect>'
        )
        for place, value in enumerate(values)
        if value
    )
    words = f"{label}: at most {largest:g}{unit}"
    drawing = element(
        "svg", *bars, viewBox=f"0 0 {WIDTH} {HEIGHT}", preserveAspectRatio="none", class_=kind, aria_hidden="true"
    )
    return element("figure", drawing, element("figcaption", words))


def _height(value: float | None, largest: float) -> float:
    return 0.0 if not value or not largest else max(value / largest * HEIGHT, 1.0)
