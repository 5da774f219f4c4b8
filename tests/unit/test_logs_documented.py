"""docs/logs.md names every event that can be logged, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.ops.logs.events import call_facts
from proxy.relay.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
EVENT = re.compile(r"[a-z]+\.[a-z]+(_[a-z]+)*")
# Modules whose dotted names are those of spans' attributes; they log nothing.
SILENT = {"spans.py", "otlp.py"}
# Texts of the same shape that are none.
OTHERS = {
    *("aiohttp.access", "localpayment.com", "memory.max", "memory.stat", "proxy.ops", "settings.md"),
    *("status.css", "status.js"),
}


def texts() -> Iterator[str]:
    for path in (ROOT / "proxy").rglob("*.py"):
        if "simulator" in path.parts or path.name in SILENT:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_event_has_its_entry() -> None:
    logged = {text for text in texts() if EVENT.fullmatch(text)} - OTHERS
    entries = re.findall(r"^- (`.+?`) \(", PAGE.partition("## Events")[2], re.MULTILINE)
    assert {name for entry in entries for name in re.findall(r"`(.*?)`", entry)} == logged


def test_every_field_of_a_calls_line_is_explained() -> None:
    explained = PAGE.partition("## A call")[2].partition("## Events")[0]
    for name in call_facts(Record("r-1", "GET", 0.0)):
        assert f"`{name}`" in explained, name


def test_every_link_leads_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / link).exists(), link
