"""Exactly one source of credentials, and the whole of it; whatever is wrong with it is told with the fix."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.config import (
    AwsSource,
    CommandSource,
    CredentialsFileSource,
    CredentialSource,
    Origin,
    SettingsError,
    VaultAppRole,
    VaultKubernetes,
    VaultSource,
    VaultToken,
    credential_sources,
    load_settings,
)
from proxy.config.declared_settings import effective
from proxy.config.files import UnusableContentError, pair_in_text
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

CANARY = "canary-7f3a"
VAULT = {"LOCALPAYMENT_VAULT_ADDR": "https://vault.internal:8200", "LOCALPAYMENT_VAULT_PATH": "/payments/sandbox/"}
APP_ROLE = {**VAULT, "LOCALPAYMENT_VAULT_ROLE_ID": "role", "LOCALPAYMENT_VAULT_SECRET_ID": CANARY}
AWS = {"LOCALPAYMENT_AWS_SECRET": "payments/sandbox"}


def source(**environ: str) -> CredentialSource:
    return load_settings({"LOCALPAYMENT_ENVIRONMENT": "sandbox", **environ}).credentials


def lines(environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        source(**environ)
    told = [str(problem) for problem in caught.value.problems]
    assert CANARY not in "".join(told)
    return told


def shown(**environ: str) -> dict[str, str]:
    told = effective(load_settings({"LOCALPAYMENT_ENVIRONMENT": "sandbox", **environ}))
    assert CANARY not in repr(told)
    return {name: text for name, text in told.items() if name in environ or "VAULT" in name}


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_text('{"username": "name", "password": "word"}')
    assert source(LOCALPAYMENT_CREDENTIALS_FILE=str(path)) == CredentialsFileSource(path)
    assert shown(LOCALPAYMENT_CREDENTIALS_FILE=str(path)) == {"LOCALPAYMENT_CREDENTIALS_FILE": str(path)}
    path.write_text(f'{{"username": "name", "pass": "{CANARY}"}}')
    (line,) = lines({"LOCALPAYMENT_CREDENTIALS_FILE": str(path)})
    assert line.endswith("has no password: write a text that is not empty under the key password")


def test_a_command_line_is_split_as_a_shell_would_and_shown_without_its_arguments() -> None:
    line = f"{sys.executable} -c 'print(1)' \"two words\" {CANARY}"
    assert source(LOCALPAYMENT_CREDENTIALS_COMMAND=line) == CommandSource(
        (sys.executable, "-c", "print(1)", "two words", CANARY)
    )
    assert shown(LOCALPAYMENT_CREDENTIALS_COMMAND=line) == {
        "LOCALPAYMENT_CREDENTIALS_COMMAND": f"{sys.executable} [redacted]"
    }
    assert shown(LOCALPAYMENT_CREDENTIALS_COMMAND="true") == {"LOCALPAYMENT_CREDENTIALS_COMMAND": "true"}


@pytest.mark.parametrize(
    ("value", "fix"),
    [
        (Secret(f"'{CANARY}"), "is no command line"),
        (Secret(" "), "is no command line"),
        (Secret(f"{CANARY} argument"), "the command is not there"),
        (Secret("~/bin/command"), "write its whole path"),
        ([CANARY, 1], "is no command line"),
        (5, "is no command line"),
        (["tr\0ue"], "is no command line"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused_without_being_quoted(value: object, fix: str) -> None:
    with pytest.raises(ValueError, match=fix) as caught:
        credential_sources.argv(value)
    assert CANARY not in str(caught.value)


def test_a_list_of_arguments_in_the_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('localpayment_credentials_command = ["true", "two words"]')
    assert source(PROXY_CONFIG_FILE=str(tmp_path / "c.toml")) == CommandSource(("true", "two words"))


def test_vault_is_asked_with_a_token(tmp_path: Path) -> None:
    given = source(**VAULT, LOCALPAYMENT_VAULT_TOKEN=CANARY)
    vault = Origin("vault.internal", 8200, tls=True)
    assert given == VaultSource(vault, "secret", "payments/sandbox", None, None, VaultToken(Secret(CANARY)))
    (tmp_path / "token").write_text(CANARY)
    by_file = {**VAULT, "LOCALPAYMENT_VAULT_TOKEN_FILE": str(tmp_path / "token"), "LOCALPAYMENT_VAULT_MOUNT": "kv"}
    assert source(**by_file) == VaultSource(vault, "kv", "payments/sandbox", None, None, VaultToken(tmp_path / "token"))
    assert shown(**by_file) == {**by_file, "LOCALPAYMENT_VAULT_PATH": "payments/sandbox"}


def test_vault_is_asked_with_an_app_role(tmp_path: Path) -> None:
    found = source(**APP_ROLE, LOCALPAYMENT_VAULT_AUTH_MOUNT="machines", LOCALPAYMENT_VAULT_NAMESPACE="team/a")
    assert isinstance(found, VaultSource)
    assert (found.namespace, found.auth) == ("team/a", VaultAppRole("machines", "role", Secret(CANARY)))
    assert shown(**APP_ROLE)["LOCALPAYMENT_VAULT_SECRET_ID"] == "[redacted]"
    (tmp_path / "id").write_text(CANARY)
    by_file = source(**VAULT, LOCALPAYMENT_VAULT_ROLE_ID="role", LOCALPAYMENT_VAULT_SECRET_ID_FILE=str(tmp_path / "id"))
    assert isinstance(by_file, VaultSource)
    assert by_file.auth == VaultAppRole("approle", "role", tmp_path / "id")


def test_vault_is_asked_with_a_service_account(tmp_path: Path) -> None:
    found = source(**VAULT, LOCALPAYMENT_VAULT_ROLE="payments")
    assert isinstance(found, VaultSource)
    path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    assert found.auth == VaultKubernetes("kubernetes", "payments", path)
    (tmp_path / "jwt").write_text(CANARY)
    other = {**VAULT, "LOCALPAYMENT_VAULT_ROLE": "payments", "LOCALPAYMENT_VAULT_JWT_FILE": str(tmp_path / "jwt")}
    found = source(**other)
    assert isinstance(found, VaultSource)
    assert found.auth == VaultKubernetes("kubernetes", "payments", tmp_path / "jwt")
    assert shown(**other)["LOCALPAYMENT_VAULT_JWT_FILE"] == str(tmp_path / "jwt")


def test_aws_is_asked_for_a_secret() -> None:
    environ = {**AWS, "LOCALPAYMENT_AWS_REGION": "eu-west-1", "LOCALPAYMENT_AWS_ENDPOINT": "http://127.0.0.1:5000"}
    assert source(**AWS) == AwsSource("payments/sandbox", None, None)
    assert source(**environ) == AwsSource("payments/sandbox", "eu-west-1", Origin("127.0.0.1", 5000, tls=False))
    assert shown(**environ) == environ


def test_aws_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore", None)
    monkeypatch.setattr(credential_sources, "find_spec", lambda _name: None)
    (line,) = lines(AWS)
    assert line == "LOCALPAYMENT_AWS_SECRET=payments/sandbox: needs the AWS library: install localpayment-proxy[aws]"


def test_the_interval_of_looking_again_is_a_duration() -> None:
    login = {"LOCALPAYMENT_ENVIRONMENT": "sandbox", "LOCALPAYMENT_USERNAME": "n", "LOCALPAYMENT_PASSWORD": "w"}
    assert load_settings(login).credentials_interval is None
    settings = load_settings({**login, "LOCALPAYMENT_CREDENTIALS_INTERVAL": "90s"})
    assert settings.credentials_interval == 90.0
    assert effective(settings)["LOCALPAYMENT_CREDENTIALS_INTERVAL"] == "90s"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {**AWS, "LOCALPAYMENT_USERNAME": "n"},
            ["LOCALPAYMENT_AWS_SECRET: LOCALPAYMENT_USERNAME is set too, and credentials come from one source only"],
        ),
        (
            {**AWS, "LOCALPAYMENT_VAULT_PATH": "p", "LOCALPAYMENT_CREDENTIALS_COMMAND": "true"},
            [
                "LOCALPAYMENT_VAULT_PATH: LOCALPAYMENT_CREDENTIALS_COMMAND is set too",
                "LOCALPAYMENT_AWS_SECRET: LOCALPAYMENT_CREDENTIALS_COMMAND is set too",
            ],
        ),
        (
            {"LOCALPAYMENT_AWS_REGION": "eu-west-1"},
            ["LOCALPAYMENT_AWS_SECRET: missing: write the secret's name or ARN"],
        ),
        (
            {"LOCALPAYMENT_VAULT_TOKEN": CANARY},
            ["LOCALPAYMENT_VAULT_ADDR: missing: write the server's URL", "LOCALPAYMENT_VAULT_PATH: missing: write the"],
        ),
        (VAULT, ["LOCALPAYMENT_VAULT_TOKEN: no login: set LOCALPAYMENT_VAULT_TOKEN or LOCALPAYMENT_VAULT_TOKEN_FILE,"]),
        (
            {**APP_ROLE, "LOCALPAYMENT_VAULT_TOKEN": CANARY},
            ["LOCALPAYMENT_VAULT_ROLE_ID: LOCALPAYMENT_VAULT_TOKEN is set too, and there is one login only"],
        ),
        (
            {**VAULT, "LOCALPAYMENT_VAULT_TOKEN": CANARY, "LOCALPAYMENT_VAULT_AUTH_MOUNT": "approle"},
            ["LOCALPAYMENT_VAULT_AUTH_MOUNT: a token needs no login: remove it"],
        ),
        (
            {**VAULT, "LOCALPAYMENT_VAULT_SECRET_ID": CANARY},
            ["LOCALPAYMENT_VAULT_ROLE_ID: missing: write the role id"],
        ),
        (
            {**VAULT, "LOCALPAYMENT_VAULT_ROLE_ID": "r"},
            ["LOCALPAYMENT_VAULT_SECRET_ID: missing: set LOCALPAYMENT_VAULT_SECRET_ID or LOCALPAYMENT_VAULT_SE"],
        ),
        (
            {**VAULT, "LOCALPAYMENT_VAULT_JWT_FILE": __file__},
            ["LOCALPAYMENT_VAULT_ROLE: missing: write the name of the role"],
        ),
        (
            {**VAULT, "LOCALPAYMENT_VAULT_ADDR": "http://vault.internal:8200", "LOCALPAYMENT_VAULT_TOKEN": CANARY},
            ["LOCALPAYMENT_VAULT_ADDR=http://vault.internal:8200: http is accepted to loopback only"],
        ),
        (
            {**APP_ROLE, "LOCALPAYMENT_VAULT_PATH": "a/../b", "LOCALPAYMENT_VAULT_ROLE_ID": "two words"},
            ["LOCALPAYMENT_VAULT_PATH=a/../b: is no path", "LOCALPAYMENT_VAULT_ROLE_ID=two words: is no name"],
        ),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[0][:60],
)
def test_half_a_source_and_two_sources_are_mistakes(environ: dict[str, str], told: list[str]) -> None:
    found = lines(environ)
    assert len(found) == len(told)
    assert all(line.startswith(start) for line, start in zip(found, told, strict=True)), found


@pytest.mark.parametrize("value", ["", "/", "a//b", ".", "a/..", "a?b", "a%2Fb", "a\nb", 5])
def test_a_path_in_vault_goes_nowhere_else(value: object) -> None:
    with pytest.raises(ValueError, match="is no path: write names"):
        credential_sources.vault_path(value)
    assert credential_sources.vault_path("/team a/payments.v2/") == "team a/payments.v2"


@pytest.mark.parametrize(
    "text",
    [
        '{"username": "name", "password": " word "}',
        ' \n{"password": " word ", "username": "name", "since": 2026}',
        'username = "name"\npassword = " word "\n',
    ],
)
def test_a_document_is_json_or_toml_and_may_hold_more(text: str) -> None:
    assert pair_in_text(Secret(text)) == (Secret("name"), Secret(" word "))


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        (f'{{"username": "{CANARY}"', "is no JSON: write"),
        (f"username = {CANARY}", "is no TOML: write"),
        ("", "has no username"),
        (f'{{"username": " ", "password": "{CANARY}"}}', "has no username"),
        (f'{{"username": "{CANARY}", "password": 5}}', "has no password"),
        ("{" * 5000, "is no JSON"),
        ('{"a":' * 100_000, "is no JSON"),
        (f'["{CANARY}"]', "has no username"),
    ],
)
def test_a_document_without_both_is_refused_without_being_quoted(text: str, fix: str) -> None:
    with pytest.raises(UnusableContentError, match=fix) as caught:
        pair_in_text(Secret(text))
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None
