"""The overview that `status` draws: what matters in a few lines, and what is wrong at the top."""

from __future__ import annotations

from typing import Any

import click
import pytest

from proxy.cli.admin.status_lines import sparkline, status_lines

NOW = 1_764_090_000.0
CALL = {"at": NOW - 3, "operation": "create_payout", "kind": "money_out", "status": 502, "wrong": True}
CALL |= {"outcome": "unknown", "request_id": None}


def view(**changes: Any) -> dict[str, Any]:
    slices = {"calls": [0] * 58 + [4, 2], "errors": [0] * 59 + [1], "p95_ms": [None] * 58 + [400.0, 50.0]}
    facts: dict[str, Any] = {
        "environment": "sandbox",
        "origin": "https://api.stage.localpayment.com",
        "now": NOW,
        "started": NOW - 7325,
        "ready": True,
        "reason": "ready",
        "why": None,
        "version": "1.2.3",
        "token": {
            "state": "valid",
            "expires": NOW + 252,
            "refresh_expires": NOW + 86_000,
            "credentials_rejected": False,
            "failing": None,
        },
        "in_flight": {"now": 3, "limit": 512},
        "last_15_minutes": {"slice_seconds": 15, "p50_ms": [None] * 60, **slices},
        "unsettled": {"total": 0, "last": []},
        "ledger": None,
        "last_calls": [
            {**CALL, "status": 201, "wrong": False, "outcome": "answered", "code": "", "milliseconds": 45.2}
        ],
        "warnings": [],
    }
    return {**facts, **changes}


def text(**changes: Any) -> str:
    return click.unstyle("\n".join(status_lines(view(**changes), "utf-8")))


def test_all_that_matters_fits_a_few_lines() -> None:
    assert text().splitlines() == [
        " Sandbox: play money ",
        "origin    https://api.stage.localpayment.com",
        "state     ready",
        "token     valid, ends in 4 min 12 s; refresh token ends in 23 h 53 min",
        "calls     3 in flight, 512 at most; 6 in 15 minutes, 1 failed",
        "          calls " + " " * 58 + "█▅",
        "          95 %  " + " " * 58 + "█▂",
        "          95 % of the calls within 400 ms",
        "unknown   no outcome since the start",
        "last      16:59:57 create_payout        201 answered  45.2 ms",
        "version   1.2.3, running for 2 h 2 min",
    ]


def test_production_is_red_and_says_so() -> None:
    first = next(iter(status_lines(view(environment="production"), "utf-8")))
    assert "Production: real money" in first
    assert "\x1b[41m" in first


def test_what_is_wrong_stands_at_the_top_and_in_full() -> None:
    token = {"state": "rejected", "expires": None, "refresh_expires": NOW - 1, "credentials_rejected": True}
    why = {"cause": "wrong username or password (401)", "advice": "compare the credentials " + "with care " * 12}
    call = {**CALL, "code": "upstream_disconnected", "milliseconds": 3.0, "request_id": "order-1-try-2"}
    facts = {"token": {**token, "failing": why}, "unsettled": {"total": 7, "last": [call]}}
    said = text(ready=False, reason="no usable token", why=why, warnings=["Mount the password."], **facts)
    assert "".join(said.split()).count("withcare" * 12) == 1, "said in full, and once"
    for line in (
        "not ready: no usable token",
        "rejected, none held",
        "refresh token at its end",
        "Localpayment refuses the credentials",
        "7 outcomes since the start",
        "create_payout        502 unknown upstream_disconnected",
        "request_id order-1-try-2",
        "why       wrong username or password (401)",
        "warning   Mount the password.",
    ):
        assert line in said


def test_a_renewal_that_fails_is_told_while_the_token_still_serves() -> None:
    failing = {"cause": "the token endpoint failed (503)", "advice": "try again in a minute"}
    said = text(token={**view()["token"], "failing": failing})
    assert "why       the token endpoint failed (503)\nto do     try again in a minute" in "\n".join(
        line.rstrip() for line in said.splitlines()
    )


def test_the_worst_state_fits_a_terminal_of_80_by_24_and_why_is_whole() -> None:
    why = {"cause": "the certificate of localhost is not trusted: " + "x" * 60, "advice": "set " + "what is set " * 16}
    call = {**CALL, "operation": "list_payment_methods_by_country", "code": "upstream_disconnected"}
    call |= {"outcome": "not_sent", "milliseconds": 60_000.0, "request_id": "0" * 128}
    changes: dict[str, Any] = {
        "ready": False,
        "reason": "Localpayment refuses the token that is held, and gives no other",
        "why": why,
        "environment": "production",
        "token": {**view()["token"], "credentials_rejected": True},
        "unsettled": {"total": 12, "last": [call] * 10},
        "last_calls": [call] * 20,
        "warnings": ["A long warning about an option that weakens the sidecar. " * 3] * 4,
    }
    lines = [click.unstyle(line) for line in status_lines(view(**changes), "utf-8", 80, 23)]
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    for words in why.values():
        assert words.replace(" ", "") in "".join("".join(lines).split())
    assert any("lines more" in line for line in lines)
    assert lines[-1].startswith("version")


@pytest.mark.parametrize("width", [30, 40, 60])
def test_no_line_is_wider_than_a_narrow_terminal(width: int) -> None:
    lines = status_lines(view(warnings=["LOCALPAYMENT_BASE_URL is http."]), "utf-8", width)
    assert max(len(click.unstyle(line)) for line in lines) <= width


@pytest.mark.parametrize("width", [1, 10, 11])
def test_a_terminal_that_is_narrower_than_any_word_gets_lines_that_can_be_read(width: int) -> None:
    said = [click.unstyle(line) for line in status_lines(view(), "utf-8", width)]
    assert "state     ready" in said
    assert "token     valid, ends in 4 min" in said


def test_without_calls_there_is_nothing_to_draw() -> None:
    silent = {"calls": [0] * 60, "errors": [0] * 60, "p95_ms": [None] * 60}
    assert "0 in 15 minutes, 0 failed\nunknown" in text(last_15_minutes=silent)


@pytest.mark.parametrize(("encoding", "drawn"), [("utf-8", "▅ █"), ("ascii", "+ @"), ("no such", "+ @")])
def test_a_terminal_without_blocks_gets_characters_that_it_has(encoding: str, drawn: str) -> None:
    assert sparkline([1, None, 2], encoding) == drawn


def test_a_line_of_nothing_is_empty() -> None:
    assert sparkline([0, None], "utf-8") == "  "


UNSETTLED = {"operation": "create_payout", "state": "interrupted", "at": NOW - 725, "request_id": "01a2"}
SETTLED = UNSETTLED | {"settled": "undetermined", "detail": "", "settled_at": NOW}


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        ({"fault": "", "unsettled": [], "oldest": None, "settled": []}, "ledger    no call waits to be settled"),
        (
            {"fault": "", "unsettled": [], "oldest": None, "settled": [SETTLED]},
            """\
ledger    what became of a call is unknown: ask Localpayment, then
          `localpayment-proxy ledger resolve`
          17:00:00 create_payout undetermined after interrupted  request_id 01a2
""",
        ),
        (
            {"fault": "", "unsettled": [UNSETTLED], "oldest": NOW - 725, "settled": []},
            """\
ledger    calls are not settled, the oldest for 12 min 5 s: `localpayment-proxy
          ledger list`
          create_payout interrupted, 12 min 5 s old  request_id 01a2
""",
        ),
        (
            {"fault": "ledger.db: disk full", "unsettled": [UNSETTLED], "oldest": NOW, "settled": []},
            """\
ledger    cannot be written: ledger.db: disk full
ledger    calls are not settled, the oldest for 0 s: `localpayment-proxy ledger
          list`
""",
        ),
    ],
)
def test_a_ledger_takes_the_place_of_what_only_this_process_saw(ledger: dict[str, Any], expected: str) -> None:
    said = text(ledger=ledger, unsettled={"total": 7, "last": []})
    assert expected in said
    assert "since the start" not in said
