"""Lines for a terminal: a level has its colour there, and nowhere else."""

from __future__ import annotations

from proxy.ops.logs.console import Console


def test_a_level_has_its_colour_on_a_terminal_only() -> None:
    facts = {"time": "2026-11-25T17:24:15.123Z", "level": "error", "event": "token.fetch_failed"}
    assert Console(colours=True).render(facts) == "17:24:15.123 \x1b[31merror   \x1b[0m token.fetch_failed\n"
    assert Console(colours=False).render(facts) == "17:24:15.123 error    token.fetch_failed\n"
