"""The overview that `status` draws: what matters in a few lines, and what is wrong at the top."""

from __future__ import annotations

from typing import Any

import click
import pytest

from proxy.cli.status_lines import sparkline, status_lines

NOW = 1_764_090_000.0
CALL = {"at": NOW - 3, "operation": "create_payout", "kind": "money_out", "status": 502, "outcome": "unknown"}


def view(**changes: Any) -> dict[str, Any]:
    slices = {"calls": [0] * 58 + [4, 2], "errors": [0] * 59 + [1], "p95_ms": [None] * 58 + [400.0, 50.0]}
    facts: dict[str, Any] = {
        "environment": "sandbox",
        "origin": "https://api.stage.localpayment.com",
        "now": NOW,
        "started": NOW - 7325,
        "ready": True,
        "reason": "ready",
        "version": "1.2.3",
        "token": {
            "state": "valid",
            "expires": NOW + 252,
            "refresh_expires": NOW + 86_000,
            "credentials_rejected": False,
        },
        "in_flight": {"now": 3, "limit": 512},
        "last_15_minutes": {"slice_seconds": 15, "p50_ms": [None] * 60, **slices},
        "unsettled": {"total": 0, "last": []},
        "last_calls": [{**CALL, "status": 201, "outcome": "answered", "code": "", "milliseconds": 45.2}],
        "warnings": [],
    }
    return {**facts, **changes}


def text(**changes: Any) -> str:
    return click.unstyle("\n".join(status_lines(view(**changes), "utf-8")))


def test_all_that_matters_fits_a_few_lines() -> None:
    assert text().splitlines() == [
        " Sandbox: play money   https://api.stage.localpayment.com  ready",
        "token     valid, ends in 4 min 12 s",
        "          refresh token ends in 23 h 53 min",
        "calls     3 in flight, 512 at most",
        "          6 in 15 minutes, 1 failed",
        "          calls " + " " * 58 + "█▅",
        "          95 %  " + " " * 58 + "█▂ at most 400 ms",
        "unknown   no outcome since the start",
        "          16:59:57 create_payout            201 answered  45.2 ms",
        "version   1.2.3, running for 2 h 2 min",
    ]


def test_production_is_red_and_says_so() -> None:
    first = next(iter(status_lines(view(environment="production"), "utf-8")))
    assert "Production: real money" in first
    assert "\x1b[41m" in first


def test_what_is_wrong_stands_at_the_top_and_in_full() -> None:
    token = {"state": "rejected", "expires": None, "refresh_expires": NOW - 1, "credentials_rejected": True}
    unsettled = {"total": 7, "last": [{**CALL, "code": "upstream_disconnected", "milliseconds": 3.0}]}
    said = text(
        ready=False, reason="no usable token", token=token, unsettled=unsettled, warnings=["Mount the password."]
    )
    for line in (
        "not ready: no usable token",
        "rejected, none held",
        "refresh token at its end",
        "Localpayment refuses the credentials",
        "7 outcomes since the start",
        "create_payout            502 unknown upstream_disconnected  3.0 ms",
        "warning   Mount the password.",
    ):
        assert line in said


def test_without_calls_there_is_nothing_to_draw() -> None:
    silent = {"calls": [0] * 60, "errors": [0] * 60, "p95_ms": [None] * 60}
    assert "0 in 15 minutes, 0 failed\nunknown" in text(last_15_minutes=silent)


@pytest.mark.parametrize(("encoding", "drawn"), [("utf-8", "▅ █"), ("ascii", "+ @"), ("no such", "+ @")])
def test_a_terminal_without_blocks_gets_characters_that_it_has(encoding: str, drawn: str) -> None:
    assert sparkline([1, None, 2], encoding) == drawn


def test_a_line_of_nothing_is_empty() -> None:
    assert sparkline([0, None], "utf-8") == "  "
