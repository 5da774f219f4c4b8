"""What `serve` and `check` say about settings that cannot be used: one line each, with the fix, and exit code 78."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import ran

if TYPE_CHECKING:
    from pathlib import Path

WORD = "the-password"
ACCOUNT = {"LOCALPAYMENT_USERNAME": "the-username", "LOCALPAYMENT_PASSWORD": WORD}
GOOD = {
    **ACCOUNT,
    "LOCALPAYMENT_ENVIRONMENT": "sandbox",
    "LOCALPAYMENT_BASE_URL": "http://127.0.0.1:1",
    "PROXY_LISTEN": "127.0.0.1:0",
    "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
}

# What is added to good settings (None takes away), and what the line says of the mistake and of its fix.
MISTAKES: dict[str, tuple[dict[str, str | None], str, str]] = {
    "no credential source": (
        {"LOCALPAYMENT_USERNAME": None, "LOCALPAYMENT_PASSWORD": None},
        "LOCALPAYMENT_USERNAME: no credentials",
        "set LOCALPAYMENT_USERNAME and LOCALPAYMENT_PASSWORD",
    ),
    "two credential sources": (
        {"LOCALPAYMENT_PASSWORD_FILE": "{tmp}/password"},
        "LOCALPAYMENT_PASSWORD",
        "LOCALPAYMENT_PASSWORD_FILE",
    ),
    "http to another machine": (
        {"LOCALPAYMENT_BASE_URL": "http://api.stage.localpayment.com"},
        "http is accepted to loopback only",
        "write https://",
    ),
    "production at the stage host": (
        {"LOCALPAYMENT_ENVIRONMENT": "production", "LOCALPAYMENT_BASE_URL": "https://api.stage.localpayment.com"},
        "stage",
        "LOCALPAYMENT_ENVIRONMENT",
    ),
    "a file that is not there": (
        {"LOCALPAYMENT_PASSWORD": None, "LOCALPAYMENT_PASSWORD_FILE": "{tmp}/nothing"},
        "there is no such file",
        "check the path",
    ),
    "a directory for a file": (
        {"LOCALPAYMENT_PASSWORD": None, "LOCALPAYMENT_PASSWORD_FILE": "{tmp}"},
        "is a directory",
        "name a file in it",
    ),
    "a settings file that is no TOML": (
        {"PROXY_CONFIG_FILE": "{tmp}/broken.toml"},
        "is not TOML at line 1",
        'write key = "value"',
    ),
    "a listener beyond loopback": (
        {"PROXY_LISTEN": "0.0.0.0:8080"},
        "PROXY_LISTEN=0.0.0.0:8080",
        "set PROXY_ALLOW_REMOTE=true",
    ),
    "an admin listener beyond loopback": (
        {"PROXY_ADMIN_LISTEN": "[::]:8081"},
        "PROXY_ADMIN_LISTEN=[::]:8081",
        "set PROXY_ALLOW_REMOTE=true",
    ),
    "an unknown name": ({"PROXY_LISTENN": "127.0.0.1:1"}, "PROXY_LISTENN", "PROXY_LISTEN"),
    "a duration without a unit": ({"PROXY_TOKEN_WAIT": "5"}, "PROXY_TOKEN_WAIT=5", "write 5s"),
    "a CA file with a broken certificate": (
        {"PROXY_UPSTREAM_CA_FILE": "{tmp}/ca.pem"},
        "OpenSSL can read no certificate in it",
        "name a PEM file",
    ),
    "a policy with a mistake": (
        {"PROXY_POLICY_FILE": "{tmp}/policy.toml"},
        "line 2: callers.shop.allow: unknown name",
        "did you mean 'read'?",
    ),
    "an admin key that can be guessed": (
        {"PROXY_ADMIN_KEY_FILE": "{tmp}/password"},
        "PROXY_ADMIN_KEY_FILE={tmp}/password: the key has less than 16 characters",
        "make one with `openssl rand -hex 32`",
    ),
    "an audit key that can be guessed": (
        {"PROXY_AUDIT_LOG": "stdout", "PROXY_AUDIT_KEY_FILE": "{tmp}/password"},
        "PROXY_AUDIT_KEY_FILE={tmp}/password: the key has less than 16 characters",
        "make one with `openssl rand -hex 32`",
    ),
    "an audit log in no folder": (
        {"PROXY_AUDIT_LOG": "{tmp}/nothing/audit.jsonl"},
        "PROXY_AUDIT_LOG={tmp}/nothing/audit.jsonl: No such file or directory",
        "name a file in a folder that this process may write to",
    ),
    "an audit log that is a folder": (
        {"PROXY_AUDIT_LOG": "{tmp}"},
        "PROXY_AUDIT_LOG={tmp}: Is a directory",
        "name a file in a folder that this process may write to",
    ),
    "a CA file without certificates": ({"PROXY_UPSTREAM_CA_FILE": "{tmp}/password"}, "holds no certificate", "PEM"),
}


@pytest.fixture
def mistaken(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Good settings with one mistake; the files that it names are there."""
    (tmp_path / "password").write_text(WORD)
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n")
    (tmp_path / "policy.toml").write_text('[callers.shop]\nallow = ["reed"]\nanyone = true\n')
    (tmp_path / "broken.toml").write_text(f"localpayment_password = {WORD}\n")
    changes, _, _ = MISTAKES[request.param]
    changed = {**GOOD, **{name: value and value.replace("{tmp}", str(tmp_path)) for name, value in changes.items()}}
    return {name: value for name, value in changed.items() if value is not None}


@pytest.mark.parametrize(("mistaken", "mistake"), [(name, name) for name in MISTAKES], indirect=["mistaken"])
async def test_a_mistake_is_one_line_with_its_fix_and_exit_code_78(
    mistaken: dict[str, str], mistake: str, tmp_path: Path
) -> None:
    _, wrong, fix = MISTAKES[mistake]
    wrong = wrong.replace("{tmp}", str(tmp_path))
    served, checked = await asyncio.gather(ran("serve", settings=mistaken), ran("check", "--json", settings=mistaken))
    assert (served.code, served.out) == (78, "")
    assert len(served.err.splitlines()) == 1
    assert wrong in served.err
    assert fix in served.err
    assert (checked.code, checked.err) == (78, "")
    assert json.loads(checked.out)["steps"][0]["found"] == served.err.rstrip("\n")
    assert WORD not in served.err + checked.out


async def test_all_mistakes_are_told_together() -> None:
    settings = {"LOCALPAYMENT_BASE_URL": "ftp://example.com", "PROXY_LISTEN": "8080", "PROXY_MAX_IN_FLIGHT": "many"}
    served = await ran("serve", settings=settings)
    assert served.code == 78
    told = [line.partition(":")[0].partition("=")[0] for line in served.err.splitlines()]
    assert {"LOCALPAYMENT_ENVIRONMENT", "LOCALPAYMENT_USERNAME", *settings} == set(told)
    checked = await ran("check", settings=settings)
    assert checked.code == 78
    assert all(line in checked.out for line in served.err.splitlines())


@pytest.mark.parametrize("variable", ["PROXY_LISTEN", "PROXY_ADMIN_LISTEN"])
async def test_a_port_in_use_is_one_line_with_its_fix_and_exit_code_1(variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        served = await ran("serve", settings={**GOOD, variable: address})
    assert (served.code, served.out) == (1, "")
    assert len(served.err.splitlines()) == 1
    assert f"{variable}={address}: cannot listen there" in served.err
    assert "choose another address" in served.err


async def test_good_settings_are_checked_without_a_network_and_shown_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(WORD)
    (tmp_path / "password").chmod(0o644)
    settings = {**GOOD, "LOCALPAYMENT_PASSWORD_FILE": str(tmp_path / "password")}
    del settings["LOCALPAYMENT_PASSWORD"]
    checked = await ran("check", "--json", settings=settings)
    assert checked.code == 0
    shown = json.loads(checked.out)
    assert [(step["step"], step["result"]) for step in shown["steps"]] == [("settings", "ok"), ("secret source", "ok")]
    assert "chmod o-rwx" in shown["steps"][1]["found"]
    assert shown["settings"]["LOCALPAYMENT_USERNAME"] == "[redacted]"
    assert "the-username" not in checked.out
    assert WORD not in checked.out


async def test_a_policy_is_summed_up_with_what_is_odd_about_it(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[callers.shop]\nuid = [1000]\nallow = ["collect"]\n[callers.rest]\nanyone = true\nallow = ["payout"]\n'
    )
    checked = await ran("check", "--json", settings={**GOOD, "PROXY_POLICY_FILE": str(policy)})
    assert checked.code == 0
    told = [step["found"] for step in json.loads(checked.out)["steps"] if step["step"] == "policy"]
    assert told[0] == "enforce for shop, rest"
    assert told[1].startswith("but look at line 5: callers.rest.anyone: may move money out without authentication")


async def test_a_credential_source_that_gives_nothing_is_bad_configuration(tmp_path: Path) -> None:
    settings = {name: value for name, value in GOOD.items() if name not in ACCOUNT}
    command = tmp_path / "credentials"
    command.write_text("#!/bin/sh\necho the-password\nexit 3\n")
    command.chmod(0o700)
    settings["LOCALPAYMENT_CREDENTIALS_COMMAND"] = str(command)
    served, checked = await asyncio.gather(ran("serve", settings=settings), ran("check", "--json", settings=settings))
    assert (served.code, served.out, checked.code) == (78, "", 78)
    steps = {step["step"]: step for step in json.loads(checked.out)["steps"]}
    assert steps["secret source"]["result"] == "failed"
    assert served.err.rstrip("\n") == steps["secret source"]["found"]
    assert WORD not in served.err + checked.out


async def test_the_command_s_own_mistakes_are_exit_code_2() -> None:
    for arguments in (("check", "--lively"), ("serv",), ("serve", "now"), ("check", "--country", "x\r\nX:"), ()):
        finished = await ran(*arguments)
        assert finished.code == 2
        assert "Usage: localpayment-proxy" in finished.err


async def test_the_version_is_that_of_the_package() -> None:
    finished = await ran("--version")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("localpayment-proxy 0.")
