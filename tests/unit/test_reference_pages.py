"""The pages of docs/reference that are written by the code are what the code says now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.api.operations import NAMES, OPERATIONS, Kind
from proxy.cli.commands import commands
from tests.generators import cli_page as cli
from tests.generators import operations_page as operations

if TYPE_CHECKING:
    from types import ModuleType

PAGES = Path(__file__).parents[2] / "docs" / "reference"
every_page = pytest.mark.parametrize(("name", "module"), [("operations.md", operations), ("cli.md", cli)])


@every_page
def test_the_page_is_what_the_code_says(name: str, module: ModuleType) -> None:
    fix = f"python -m {module.__name__} > docs/reference/{name}"
    assert (PAGES / name).read_text(encoding="utf-8") == module.reference(), f"docs/reference/{name} is stale: {fix}"


@every_page
def test_printing_it_is_what_the_page_says_it_is(name: str, module: ModuleType) -> None:
    printed = subprocess.run([sys.executable, "-m", module.__name__], capture_output=True, check=True, timeout=60)
    assert printed.stdout.decode() == module.reference()
    assert f"`python -m {module.__name__} > docs/reference/{name}`" in module.reference()


def test_every_operation_is_listed_once_under_its_kind() -> None:
    text = operations.reference()
    assert all(text.count(f"\n- `{name}`: ") == 1 for name in NAMES)
    assert all(f"`{kind}`\n" in text for kind in Kind)
    assert all(path in text for operation in OPERATIONS for path in operation.templates)


def test_every_command_is_listed() -> None:
    text = cli.reference()
    assert all(f"\n## localpayment-proxy {name}\n" in text for name in commands.commands)
    assert max(map(len, text.splitlines())) < 120
