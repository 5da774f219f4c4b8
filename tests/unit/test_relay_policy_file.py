"""A policy file is used only if all of it is understood; every mistake is told at once, with its line and its fix."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path

import pytest

from proxy.policy.file import Finding, PolicyFileError, parse_policy, read_policy
from proxy.policy.grants import EVERYTHING
from proxy.policy.identity import Identity
from proxy.policy.rate_limit import Rate
from proxy.policy.rules import Mode

ROOT = Path(__file__).parents[2]
HASH = hashlib.sha256(b"an invented key").hexdigest()
OTHER_HASH = hashlib.sha256(b"another").hexdigest()


def findings(text: str) -> list[str]:
    with pytest.raises(PolicyFileError) as refused:
        parse_policy(text)
    assert str(refused.value).splitlines() == [str(finding) for finding in refused.value.findings]
    return [str(finding) for finding in refused.value.findings]


def test_everything_that_can_be_written_is_understood() -> None:
    file = parse_policy(
        f"""
        mode = "report"
        duplicates = {{ create_payout = "refuse", other = "report" }}
        [callers.one]
        uid = 1
        allow = "read_only"
        [callers.two]
        uid = [0, 4294967294]
        gid = [5]
        san = ["DNS:Two", "URI:spiffe://a/b"]
        key_sha256 = ["{HASH}", "{OTHER_HASH.upper()}"]
        anyone = true
        allow = ["collect", "other", "authorize_payouts:by_date"]
        deny = ["quote"]
        own_authorization = ["tokenize_card", "other"]
        mode = "enforce"
        rate = "120/min"
        burst = 9
        """
    )
    assert file.policy.duplicates == {"create_payout": "refuse", "other": "report"}
    one, two = file.policy.callers
    assert (file.policy.mode, one.mode, two.mode) == (Mode.REPORT, Mode.REPORT, Mode.ENFORCE)
    assert (one.name, one.identity, one.rate) == ("one", Identity(uids=frozenset({1})), None)
    keys = (bytes.fromhex(HASH), bytes.fromhex(OTHER_HASH))
    sans = frozenset({"DNS:two", "URI:spiffe://a/b"})
    assert two.identity == Identity(frozenset({0, 4294967294}), frozenset({5}), sans, keys, anyone=True)
    assert {"other", "authorize_payouts", "authorize_payouts:by_date", "create_payin"} < two.allowed
    assert "quote_exchange" not in two.allowed
    assert (two.own_authorization, two.rate) == (frozenset({"tokenize_card", "other"}), Rate(2.0, 9))


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("uid = -1", "line 3: callers.a.uid: must be a numeric id, as `id -u NAME`"),
        ("uid = true", "line 3: callers.a.uid: must be a numeric id"),
        ('uid = "root"', "line 3: callers.a.uid: must be a numeric id"),
        ("gid = 4294967295", "line 3: callers.a.gid: must be a numeric id"),
        ('san = "shop.internal"', "line 3: callers.a.san: a certificate's name carries its kind"),
        ("san = 1", "line 3: callers.a.san: a certificate's name carries its kind"),
        ('key_sha256 = "hunter2"', "line 3: callers.a.key_sha256: must be the key's SHA-256 in 64 hex digits"),
        (f'key_sha256 = "{"0" * 64}"', "line 3: callers.a.key_sha256: must be the key's SHA-256"),
        (f'key_sha256 = "{hashlib.sha256(b"").hexdigest()}"', "line 3: callers.a.key_sha256: is the hash of nothing"),
        ("key_sha256 = [1]", "line 3: callers.a.key_sha256: must be the key's SHA-256"),
        ('anyone = "yes"', "line 3: callers.a.anyone: must be true or false"),
        ('deny = ["read_onli"]', "line 3: callers.a.deny: unknown name 'read_onli': did you mean 'read_only'?"),
        ('deny = ["xyzzy"]', "line 3: callers.a.deny: unknown name 'xyzzy': docs/policy.md lists"),
        ("deny = [1]", "line 3: callers.a.deny: must be a text in quotes"),
        ('deny = ["by_date"]', "line 3: callers.a.deny: unknown name 'by_date'"),
        ('own_authorization = ["collect"]', "line 3: callers.a.own_authorization: unknown name 'collect'"),
        ('own_authorization = "tokenise_card"', "did you mean 'tokenize_card'?"),
        ('mode = "off"', 'line 3: callers.a.mode: must be "enforce" or "report"'),
        ("mode = 1", 'line 3: callers.a.mode: must be "enforce" or "report"'),
        ('rate = "10"', "line 3: callers.a.rate: a rate is a number of calls in a time"),
        ("rate = 10", "line 3: callers.a.rate: a rate is a number of calls in a time"),
        ("burst = 5", "line 3: callers.a.burst: limits nothing without a rate"),
        ("uids = 5", "line 3: callers.a.uids: unknown name 'uids': did you mean 'uid'?"),
        ("zzz = 5", "line 3: callers.a.zzz: unknown name 'zzz': known are allow, anyone, burst"),
        ('"z\\u001b[31m" = 5', "line 3: callers.a.'z\\x1b[31m': unknown name 'z\\x1b[31m'"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_its_fix(line: str, finding: str) -> None:
    (found,) = findings(f"[callers.a]\nallow = []\n{line}\n" + ("uid = 1\n" if not line.startswith("uid") else ""))
    assert finding in found
    assert "hunter2" not in found


@pytest.mark.parametrize("burst", ["0", "-1", "1.5", "true", '"5"'])
def test_a_burst_is_a_number_of_calls(burst: str) -> None:
    (found,) = findings(f'[callers.a]\nuid = 1\nallow = []\nrate = "1/s"\nburst = {burst}')
    assert found == "line 5: callers.a.burst: must be a whole number of calls, 1 or more"


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("", "line 1: callers: names no caller: write a table [callers.NAME] for each caller"),
        ("callers = 5", "line 1: callers: names no caller"),
        ("[callers]", "line 1: callers: names no caller"),
        ("[callers]\na = 5", "line 2: callers.a: must be a table"),
        ('\nmod = "report"\n[callers.a]\nuid = 1\nallow = []', "line 2: mod: unknown name 'mod': did you mean 'mode'?"),
        ("[callers.a]\nuid = 1", "line 1: callers.a: may do nothing: write allow = [...]"),
        ("[callers.a]\nallow = []", "line 1: callers.a: no one can be this caller: give it one of uid, gid"),
        ("[callers.unknown]\nuid = 1\nallow = []", "line 1: callers.unknown: a name has up to 40"),
        ("[callers.A]\nuid = 1\nallow = []", "line 1: callers.A: a name has up to 40"),
        ('[callers."a b"]\nuid = 1\nallow = []', "line 1: callers.'a b': a name has up to 40"),
        ('mode = "x', "line 1: is not TOML"),
        ("\n\n[callers.a]\nuid = 1\nuid = 2", "line 5: is not TOML"),
        ("a = " + "[" * 100_000, "is not TOML"),
    ],
)
def test_what_makes_no_policy_is_refused(text: str, finding: str) -> None:
    (found,) = findings(text)
    assert finding in found


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines() -> None:
    found = findings(
        '[callers.b]\nuid = "x"\nallow = [\n  "payout",\n  "teleport",\n]\n[callers.a]\nallow = ["reed"]\nmood = 1\n'
    )
    assert [text.partition(": ")[0] for text in found] == ["line 2", "line 5", "line 8", "line 9"]


def test_a_file_is_read_with_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[callers.a]\nuid = 1\nallow = "read"\n')
    path.chmod(0o640)
    file = read_policy(path)
    assert (file.permissions, file.policy.callers[0].name) == (0o640, "a")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing.toml"
    with pytest.raises(PolicyFileError) as refused:
        read_policy(path)
    assert str(refused.value) == f"{path}: there is no such file: check the path and that it is mounted"


def test_a_finding_is_one_line() -> None:
    assert str(Finding(3, "a.b", "text")) == "line 3: a.b: text"
    assert str(Finding(0, "", "text")) == "text"


def test_the_example_can_be_used_as_it_is() -> None:
    policy = read_policy(ROOT / "config" / "policy.example.toml").policy
    assert [caller.name for caller in policy.callers] == ["reporting", "shop", "payouts"]
    assert all(caller.allowed < EVERYTHING for caller in policy.callers)


def test_the_examples_last_part_can_be_used_when_its_marks_are_taken_off() -> None:
    text = (ROOT / "config" / "policy.example.toml").read_text()
    treasury = "\n".join(line.removeprefix("# ") for line in text.partition("# [callers.treasury]")[2].splitlines())
    assert tomllib.loads(treasury)
    (caller,) = parse_policy("[callers.treasury]" + treasury).policy.callers
    assert "authorize_payouts:by_date" in caller.allowed


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("duplicates = 'refuse'", "line 3: duplicates: must be a table"),
        ("[duplicates]\ncreate_payout = true", 'line 4: duplicates.create_payout: must be "report" or "refuse"'),
        ("[duplicates]\ncreate_payuot = 'refuse'", "did you mean 'create_payout'?"),
        ("[duplicates]\nget_balance = 'refuse'", "only operations that change something are in the ledger"),
    ],
)
def test_mistakes_in_what_becomes_of_repeats_are_told(written: str, told: str) -> None:
    (found,) = findings(f"\n\n{written}\n[callers.one]\nanyone = true\nallow = []\n")
    assert told in found
