"""The version that the sidecar tells is the one that is released."""

from __future__ import annotations

import tomllib
from pathlib import Path

from proxy import VERSION

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_the_version_that_is_told_is_the_project_s() -> None:
    assert tomllib.loads(PROJECT.read_text())["project"]["version"] == VERSION
