"""A command that cannot write its output says so, and does not call it a defect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "arguments", [("operations",), ("check", "--json"), ("simulator", "--port", "0", "--control-port", "0")]
)
def test_a_full_disk_is_one_line_and_exit_code_1(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        command = (sys.executable, "-m", "proxy", *arguments)
        ended = subprocess.run(command, env={}, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "cannot write the output: No space left on device\n")
