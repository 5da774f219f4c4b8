"""docs/explanation/architecture.md shows the tree of `proxy/` as it is, and names files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
TREE = re.findall(r"```text\nproxy/\n(.*?)```", PAGE, re.DOTALL)[0]
# A name stands at the beginning of a line, or behind a gap of its own.
NAME = re.compile(r"(?:^|\s{3,}) *([\w.]+(?:/|\.py))(?=\s)", re.MULTILINE)
PATH = re.compile(r"`(proxy/[\w/]+\.py)`")
MOST_FILES = 5  # that one reads to follow a call


def own(folder: Path) -> set[str]:
    """The modules of a folder, and its folders with a slash."""
    modules = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
    return modules | {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}


def test_the_tree_names_what_stands_at_the_top_and_in_the_relay_and_no_other() -> None:
    folders_of_the_relay = {name for name in own(ROOT / "proxy" / "relay") if name.endswith("/")}
    assert set(NAME.findall(TREE)) == own(ROOT / "proxy") | folders_of_the_relay


def test_every_file_that_the_page_names_is_there() -> None:
    assert [path for path in PATH.findall(PAGE) if not (ROOT / path).is_file()] == []


def test_a_call_is_followed_in_at_most_five_files() -> None:
    table = PAGE.partition("Five files tell all of it:")[2].partition("\n\nA call ")[0]
    assert 0 < len(PATH.findall(table)) <= MOST_FILES
