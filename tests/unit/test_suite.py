"""The tests themselves keep to a few rules: helpers live apart, a file says what it tests, no clock judges."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
TREES = {path.relative_to(TESTS): ast.parse(path.read_text()) for path in TESTS.rglob("*.py")}
FOLDERS = tuple(f"tests.{folder}." for folder in ("contract", "integration", "property", "soak", "unit"))
CLOCKS = {"monotonic", "perf_counter"}
every_test = pytest.mark.parametrize("path", [path for path in TREES if path.name.startswith("test_")], ids=str)


def imported(tree: ast.Module) -> set[str]:
    return {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def reads_a_clock(node: ast.expr) -> bool:
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(isinstance(func, ast.Attribute) and func.attr in CLOCKS for func in calls)


def judges_by_a_clock(node: ast.AST) -> bool:
    """Whether it asserts how much time has passed, as in `assert time.monotonic() - started < 1`."""
    return isinstance(node, ast.Assert) and any(
        isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub) and reads_a_clock(part.left)
        for part in ast.walk(node.test)
    )


def test_no_helper_is_imported_from_a_folder_of_tests() -> None:
    wrong = {
        str(path): names
        for path, tree in TREES.items()
        if (
            names := {
                name for name in imported(tree) if name.split(".")[0] == "tests" and name.split(".")[1] in FOLDERS
            }
        )
    }
    assert wrong == {}


@every_test
def test_a_file_opens_with_what_it_tests(path: Path) -> None:
    line = (ast.get_docstring(TREES[path]) or "").partition("\n")[0]
    assert line.endswith(".")
    assert "?" not in line


def test_no_test_judges_by_a_clock() -> None:
    assert [path.name for path, tree in TREES.items() if any(map(judges_by_a_clock, ast.walk(tree)))] == []
