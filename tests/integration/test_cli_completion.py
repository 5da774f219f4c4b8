"""A shell completes the commands with what docs/reference/cli.md tells it to run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.processes import ran

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text("utf-8")
SHELLS = re.findall(r"_LOCALPAYMENT_PROXY_COMPLETE=(\w+)_source", PAGE)


@pytest.mark.parametrize("shell", SHELLS)
async def test_a_shell_is_told_how_to_complete(shell: str) -> None:
    told = await ran(settings={"_LOCALPAYMENT_PROXY_COMPLETE": f"{shell}_source"})
    assert (told.code, "_LOCALPAYMENT_PROXY_COMPLETE" in told.out) == (0, True)


async def test_commands_are_completed() -> None:
    asked = {"COMP_WORDS": "localpayment-proxy st", "COMP_CWORD": "1"}
    told = await ran(settings={"_LOCALPAYMENT_PROXY_COMPLETE": "bash_complete", **asked})
    assert told.out == "plain,status\n"
