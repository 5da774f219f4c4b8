"""Each test that docs/explanation/peers.md names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "explanation" / "peers.md").read_text("utf-8")
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def functions(path: Path) -> set[str]:
    """The test functions of a file; nothing is imported."""
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(PAGE)
    missing = [
        f"{file}::{test}" for file, test in named if not (TESTS / file).is_file() or test not in functions(TESTS / file)
    ]
    assert missing == [], "docs/explanation/peers.md names tests that are not there: find what became of them"
    assert named


def test_every_defect_has_a_test_or_is_called_open() -> None:
    defects = [line for line in PAGE.splitlines() if line.startswith("- ")]
    assert [line for line in defects if not NAMED.search(line) and not line.endswith(": open")] == []
    assert defects
