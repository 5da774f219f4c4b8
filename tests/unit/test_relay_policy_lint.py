"""A policy that can be used, but is probably not meant, says so on the right line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from proxy.policy.file import parse_policy, read_policy
from proxy.policy.lint import lint

ROOT = Path(__file__).parents[2]
HASH = "5b1f0c7d2f9a4e3c8d6b7a1905e4f3c2b1a09f8e7d6c5b4a39281706f5e4d3c2"


def odd(text: str) -> list[str]:
    return [str(finding) for finding in lint(parse_policy(text))]


def test_a_plain_policy_has_nothing_odd() -> None:
    assert lint(read_policy(ROOT / "config" / "policy.example.toml")) == ()
    assert odd('[callers.a]\nuid = 1\nallow = ["payout", "authorize_payouts", "authorize_payouts:by_date"]') == []
    assert odd('[callers.a]\nanyone = true\nallow = ["collect", "exchange_currency"]\n') == []
    assert odd("[callers.a]\nuid = [1, 2]\nallow = []\n[callers.b]\nanyone = true\nallow = []") == []
    assert odd('[callers.a]\nuid = 1\nallow = ["collect"]\nown_authorization = ["tokenize_card"]') == []
    key = f'[callers.b]\nkey_sha256 = "{HASH}"\nallow = []'
    assert odd(f"[callers.a]\nanyone = true\nallow = []\n{key}") == []


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        (
            '[callers.a]\nallow = ["money_out"]\nanyone = true',
            "line 3: callers.a.anyone: may move money out without authentication (authorize_payouts, create_payout, ",
        ),
        (
            '[callers.a]\nuid = 1\nanyone = true\nmode = "report"\nallow = []',
            "line 3: callers.a.anyone: may move money out without authentication",
        ),
        ('\nmode = "report"\n[callers.a]\nuid = 1\nallow = []', "line 2: mode: refuses no one"),
        ("[callers.a]\nuid = []\nallow = []", "line 1: callers.a: no one can be this caller"),
        ("[callers.a]\nanyone = false\nallow = []", "line 1: callers.a: no one can be this caller"),
        (
            "[callers.a]\nanyone = true\nallow = []\n[callers.b]\nuid = 1\nallow = []",
            "line 4: callers.b: is known by its key alone, if it has one, since 'a' before it is anyone",
        ),
        (
            "[callers.a]\nanyone = true\nallow = []\n[callers.b]\nanyone = true\nallow = []",
            "line 4: callers.b: is known by its key alone",
        ),
        (
            "[callers.a]\nuid = [1, 2]\nallow = []\n[callers.b]\nuid = [2, 3]\nallow = []",
            "line 5: callers.b.uid: 2 is 'a', which comes first: remove it from one of the two",
        ),
        ("[callers.a]\ngid = 1\nallow = []\n[callers.b]\ngid = 1\nallow = []", "line 5: callers.b.gid: 1 is 'a'"),
        (
            '[callers.a]\nsan = "DNS:x"\nallow = []\n[callers.b]\nsan = [\n"DNS:y",\n"DNS:x"]\nallow = []',
            "line 7: callers.b.san: 'DNS:x' is 'a'",
        ),
        (
            f'[callers.a]\nkey_sha256 = "{HASH}"\nallow = []\n[callers.b]\nkey_sha256 = "{HASH}"\nallow = []',
            "line 5: callers.b.key_sha256: a key is 'a'",
        ),
        (
            '[callers.a]\nuid = 1\nallow = [\n"read",\n"get_balance"]',
            "line 5: callers.a.allow: 'get_balance' adds nothing",
        ),
        ('[callers.a]\nuid = 1\nallow = ["read", "read_only"]', "line 3: callers.a.allow: 'read' adds nothing"),
        ('[callers.a]\nuid = 1\nallow = ["wire_out", "wire_out"]', "line 3: callers.a.allow: 'wire_out' adds nothing"),
        (
            '[callers.a]\nuid = 1\nallow = ["read", "wire_out"]\ndeny = ["money_out"]',
            "line 3: callers.a.allow: 'wire_out' allows nothing, deny takes all of it away",
        ),
        (
            '[callers.a]\nuid = 1\nallow = ["read"]\ndeny = ["create_payout"]',
            "line 4: callers.a.deny: 'create_payout' denies nothing that is allowed",
        ),
        (
            '[callers.a]\nuid = 1\nallow = ["payout"]\ndeny = ["authorize_payouts:by_date"]',
            "line 4: callers.a.deny: 'authorize_payouts:by_date' denies nothing that is allowed",
        ),
        (
            '[callers.a]\nuid = 1\nallow = ["read"]\nown_authorization = ["tokenize_card"]',
            "line 4: callers.a.own_authorization: 'tokenize_card' is not allowed, so it is never used",
        ),
    ],
)
def test_what_is_odd_is_told_once(text: str, finding: str) -> None:
    (found,) = odd(text)
    assert found.startswith(finding)
    assert HASH not in found


def test_a_file_that_everyone_may_change_is_told() -> None:
    file = parse_policy("[callers.a]\nuid = 1\nallow = []")
    assert [str(finding) for finding in lint(replace(file, permissions=0o646))] == [
        "every user of this machine may change the policy file: chmod o-w"
    ]
    assert lint(replace(file, permissions=0o664)) == ()


def test_repeats_of_what_no_one_may_call_are_noticed() -> None:
    text = """
        [duplicates]
        create_payout = "refuse"
        create_payin = "refuse"
        [callers.one]
        uid = 1
        allow = ["create_payin"]
    """
    assert odd(text) == ["line 3: duplicates.create_payout: says what becomes of repeats, but no caller may call it"]
