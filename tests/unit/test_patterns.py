"""What every regular expression of the product keeps to."""

from __future__ import annotations

import re
from pathlib import Path

PROXY = Path(__file__).parents[2] / "proxy"
POSSESSIVE_GROUP = re.compile(r"(?<!\()\)(?:[*+?]|\{[\d,]+\})\+|\(\?>")


def test_no_group_is_repeated_possessively_which_cpython_before_3_11_5_gets_wrong() -> None:
    """Such a pattern misses matches (gh-106052): a target was judged the long way, and a reading of one not found."""
    assert POSSESSIVE_GROUP.search(r"(?:ab)*+")
    lines = [(path, line) for path in PROXY.rglob("*.py") for line in path.read_text("utf-8").splitlines()]
    assert [f"{path.name}: {line}" for path, line in lines if POSSESSIVE_GROUP.search(line)] == []
