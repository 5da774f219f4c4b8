"""The catalogue, the policy's reasons and a key's hash, as a person gets them in a terminal."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import sys
from pathlib import Path

import click
import pytest

from proxy.api.operations import NAMES
from proxy.cli.commands import exit_code
from proxy.policy.file import parse_policy

EXAMPLE = Path(__file__).parents[2] / "config" / "policy.example.toml"
KEY = "an-invented-key-of-43-characters-for-tests-"


@pytest.fixture(autouse=True)
def _no_policy_of_the_testers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXY_POLICY_FILE", raising=False)
    monkeypatch.delenv("PROXY_CONFIG_FILE", raising=False)


def pairs(text: str) -> dict[str, str]:
    """What a two-column table says."""
    return dict(tuple(map(str.strip, line.split("  ", 1))) for line in text.splitlines())  # type: ignore[misc]  # pairs


# operations


def test_every_operation_is_a_line_with_each_of_its_paths(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["operations"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["OPERATION", "KIND", "METHOD", "PATH", "ID", "IN"]
    assert {line.split()[0] for line in lines if not line.startswith(" ")} == NAMES
    at = next(number for number, line in enumerate(lines) if line.startswith("exchange_currency "))
    assert lines[at].split()[1:4] == ["money_internal", "POST", "/currency-exchange"]
    assert lines[at + 1].split() == ["/api/currency-exchange", "body"]


def test_the_catalogue_is_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["operations", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["operation"] for row in rows} == NAMES
    refund = next(row for row in rows if row["operation"] == "refund_payin")
    assert (refund["kind"], refund["methods"], refund["id_in"]) == ("money_out", ["PATCH"], "path")


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        (
            "POST",
            "/api/payin",
            {"operation": "create_payin", "kind": "money_in", "presets": "collect", "id in": "body"},
        ),
        (
            "PATCH",
            "/api/payin/a%2Fb/refund",
            {"operation": "refund_payin", "id in path": "a%2Fb", "check": "/api/transactions/a%2Fb/status"},
        ),
        ("HEAD", "/api/resources/banks", {"operation": "list_banks", "has effects": "no", "check": "none"}),
        ("GET", "/api/unheard/of", {"operation": "other", "has effects": "yes", "presets": "none"}),
    ],
)
def test_a_request_is_explained(
    capsys: pytest.CaptureFixture[str], method: str, path: str, told: dict[str, str]
) -> None:
    assert exit_code(["operations", "--match", method, path]) == 0
    assert told.items() <= pairs(capsys.readouterr().out).items()


def test_a_request_is_explained_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["operations", "--json", "--match", "POST", "/api/payout"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["operation"], facts["moves_money"], facts["presets"]) == ("create_payout", True, ["payout"])


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/api/token/", "403 operation_forbidden"),
        ("POST", "/api//payin", "400 bad_target"),
        ("TRACE", "/api/payin", "405 method_forbidden"),
        ("post", "/api/payin", "405 method_forbidden"),
        ("GET", "payin", "400 bad_target"),
    ],
)
def test_a_request_that_no_policy_lets_pass_is_refused_here_too(
    capsys: pytest.CaptureFixture[str], method: str, path: str, code: str
) -> None:
    assert exit_code(["operations", "--match", method, path]) == 1
    assert f"refused, {code}" in capsys.readouterr().err
    assert exit_code(["policy", "explain", method, path]) == 1
    assert f"refused, whatever the policy says: {code}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/Payout", "create_payout"),
        ("/api/payout/authorize.", "authorize_payouts"),
        ("/api/payout/authorize%20", "authorize_payouts"),
        ("/api/token.", "a token endpoint"),
    ],
)
def test_another_spelling_is_explained_as_refused_with_what_it_would_be_read_as(
    capsys: pytest.CaptureFixture[str], path: str, name: str
) -> None:
    assert exit_code(["policy", "explain", "POST", path]) == 1
    said = capsys.readouterr().out
    assert (
        f"refused, whatever the policy says: 400 bad_target: The path can be read in more than one way, also as {name}"
        in said
    )


# policy explain


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, str]]:
    code = exit_code(["policy", "explain", "--policy", str(EXAMPLE), *arguments])
    return code, pairs(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("caller", "request_", "code", "because"),
    [
        ("shop", "POST /api/payin", 0, "line 18: callers.shop.allow: 'collect' allows it"),
        ("shop", "PATCH /api/payin/1/refund", 0, "line 18: callers.shop.allow: 'refund_payin' allows it"),
        ("shop", "DELETE /api/virtual-account/1", 1, "line 19: callers.shop.deny: 'delete_virtual_account' denies it"),
        ("reporting", "POST /api/payout", 1, "line 12: callers.reporting.allow: no name in it allows it"),
        (None, "GET /api/resources/banks", 1, "no caller of the policy is anyone"),
    ],
)
def test_the_line_that_decides_is_told(
    capsys: pytest.CaptureFixture[str], caller: str | None, request_: str, code: int, because: str
) -> None:
    names = [] if caller is None else ["--caller", caller]
    ended, told = explained(capsys, *names, *request_.split())
    assert ended == code
    assert told["because"].startswith(because)
    assert told["passes"] == ("no, 403 operation_forbidden" if code else "yes")
    assert told["caller"] == (caller or "unknown")


def test_what_holds_besides_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        'mode = "report"\n[callers.job]\nanyone = true\nallow = ["payout", "tokenize_card"]\nrate = "300/min"\n'
        'own_authorization = ["tokenize_card"]\n'
    )

    def notes(*request: str) -> str:
        assert exit_code(["policy", "explain", "--policy", str(path), *request]) == 0
        return capsys.readouterr().out

    assert "only as a release by id" in notes("POST", "/api/payout/authorize")
    assert "an Authorization field of the caller's own" in notes("POST", "/api/card")
    said = notes("POST", "/api/account/wire-out")
    assert "the mode is report: it passes, and is logged as not_allowed" in said
    assert "5 at once and 5 a second in the long run; what comes faster is logged" in said


def test_without_a_policy_everything_passes_and_that_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["policy", "explain", "POST", "/api/payout"]) == 0
    told = pairs(capsys.readouterr().out)
    assert (told["caller"], told["passes"]) == ("anyone", "yes")
    assert "no policy file is set" in told["because"]


def test_the_policy_that_the_settings_file_names_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f'proxy_policy_file = "{EXAMPLE}"\n')
    monkeypatch.setenv("PROXY_CONFIG_FILE", str(settings))
    assert exit_code(["policy", "explain", "POST", "/api/payout"]) == 1
    assert pairs(capsys.readouterr().out)["passes"].startswith("no")


def test_a_settings_file_that_cannot_be_read_explains_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY_CONFIG_FILE", "/nowhere/settings.toml")
    assert exit_code(["policy", "explain", "POST", "/api/payout"]) == 78
    assert "PROXY_CONFIG_FILE" in capsys.readouterr().err


def test_the_policy_of_the_environment_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROXY_POLICY_FILE", str(EXAMPLE))
    assert exit_code(["policy", "explain", "--caller", "shop", "POST", "/api/payout"]) == 1
    assert "callers.shop.allow" in capsys.readouterr().out
    assert exit_code(["policy", "explain", "--caller", "shpo", "POST", "/api/payout"]) == 2
    assert "it has reporting, shop, payouts" in capsys.readouterr().err


def test_a_policy_with_a_mistake_ends_with_78_and_all_its_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[callers.job]\nanyone = true\nallow = ["paiout"]\nrate = "fast"\n')
    assert exit_code(["policy", "explain", "--policy", str(path), "GET", "/"]) == 78
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == ["line 3", "line 4"]
    assert exit_code(["policy", "explain", "--policy", str(tmp_path), "GET", "/"]) == 78
    assert capsys.readouterr().err == f"{tmp_path}: is a directory: name a file in it\n"


# policy hash-key


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_keys_hash_is_a_line_that_a_policy_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    piped(monkeypatch, (KEY + ending).encode())
    assert exit_code(["policy", "hash-key"]) == 0
    line = capsys.readouterr().out
    assert line == f'key_sha256 = ["{hashlib.sha256(KEY.encode()).hexdigest()}"]\n'
    (caller,) = parse_policy(f'[callers.job]\nallow = ["read"]\n{line}').policy.callers
    assert caller.identity.keys == (hashlib.sha256(KEY.encode()).digest(),)


@pytest.mark.parametrize("key", ["", "short", " " * 30, "k" * 5000, "a key with spaces in it, and so on", "ключ" * 10])
def test_what_is_no_key_is_not_hashed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    piped(monkeypatch, key.encode())
    assert exit_code(["policy", "hash-key"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "22 to 4096 visible characters" in said.err


def test_on_a_terminal_a_key_is_asked_for_and_not_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked: list[bool] = []

    def prompt(_: str, *, hide_input: bool) -> str:
        asked.append(hide_input)
        return KEY

    monkeypatch.setattr(click, "prompt", prompt)
    assert exit_code(["policy", "hash-key"]) == 0
    assert asked == [True]
    assert KEY not in capsys.readouterr().out


def test_a_made_key_is_in_a_file_of_its_own_and_never_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "key"
    assert exit_code(["policy", "hash-key", "--new", str(path)]) == 0
    made, said = path.read_text().removesuffix("\n"), capsys.readouterr()
    assert hashlib.sha256(made.encode()).hexdigest() in said.out
    assert made not in said.out + said.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert exit_code(["policy", "hash-key", "--new", str(path)]) == 1
    assert "name a file that is not there yet" in capsys.readouterr().err
    assert path.read_text().removesuffix("\n") == made
