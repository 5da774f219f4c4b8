"""Settings cross from one process of ours to another whole, and nothing else can be made of what crosses."""

from __future__ import annotations

import pickle
from dataclasses import is_dataclass
from pprint import pformat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Problem, addresses, credential_sources, handover, load_settings, required_header, settings
from proxy.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-51c2"
ACCOUNT = {"LOCALPAYMENT_USERNAME": "merchant", "LOCALPAYMENT_PASSWORD": CANARY}
VAULT = {"LOCALPAYMENT_VAULT_ADDR": "https://vault.internal:8200", "LOCALPAYMENT_VAULT_PATH": "payments/sandbox"}
ROLE = {"LOCALPAYMENT_VAULT_ROLE_ID": "role", "LOCALPAYMENT_VAULT_SECRET_ID": CANARY}
WRITTEN: dict[str, dict[str, str]] = {
    "username and password": ACCOUNT,
    "a file for one of them": {"LOCALPAYMENT_USERNAME": "merchant", "LOCALPAYMENT_PASSWORD_FILE": "{folder}/password"},
    "a document": {"LOCALPAYMENT_CREDENTIALS_FILE": "{folder}/pair.json", "LOCALPAYMENT_CREDENTIALS_INTERVAL": "30s"},
    "a command": {"LOCALPAYMENT_CREDENTIALS_COMMAND": f"true --token {CANARY}"},
    "vault by token": {**VAULT, "LOCALPAYMENT_VAULT_TOKEN": CANARY, "LOCALPAYMENT_VAULT_NAMESPACE": "payments"},
    "vault by role": {**VAULT, **ROLE},
    "vault by kubernetes": {
        **VAULT,
        "LOCALPAYMENT_VAULT_ROLE": "r",
        "LOCALPAYMENT_VAULT_JWT_FILE": "{folder}/password",
    },
    "aws": {"LOCALPAYMENT_AWS_SECRET": "payments", "LOCALPAYMENT_AWS_ENDPOINT": "https://aws.internal"},
    "an egress proxy": {**ACCOUNT, "PROXY_EGRESS_PROXY": f"http://user:{CANARY}@proxy.internal:3128"},
    "sockets": {**ACCOUNT, "PROXY_LISTEN": "unix:/run/a.sock", "PROXY_ADMIN_LISTEN": "[::1]:8081"},
    "hosts and a field": {**ACCOUNT, "PROXY_ALLOWED_HOSTS": "b,a", "PROXY_REQUIRED_HEADER": "X-Internal: yes"},
    "streams": {**ACCOUNT, "PROXY_AUDIT_LOG": "/var/log/audit", "PROXY_OTEL_ENDPOINT": "http://127.0.0.1:4318/otlp"},
}


def types_of(module: Any) -> set[type]:
    found = {kind for kind in vars(module).values() if isinstance(kind, type) and is_dataclass(kind)}
    return {kind for kind in found if kind.__module__ == module.__name__}


@pytest.mark.parametrize("environ", WRITTEN.values(), ids=WRITTEN)
def test_settings_cross_whole(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "password").write_text(CANARY)
    (tmp_path / "pair.json").write_text('{"username": "merchant", "password": "' + CANARY + '"}')
    there = {name: value.replace("{folder}", str(tmp_path)) for name, value in environ.items()}
    loaded = load_settings({"LOCALPAYMENT_ENVIRONMENT": "sandbox", **there})
    crossed = handover.read(handover.written(loaded))
    assert crossed == loaded
    assert crossed is not loaded
    assert pformat(crossed) == pformat(loaded)  # a set's own text has no order


def test_every_type_that_settings_are_made_of_can_cross() -> None:
    modules = (addresses, credential_sources, required_header, settings)
    assert set(handover.RECORDS) == set().union(*map(types_of, modules))


@given(st.lists(st.builds(Problem, st.text(), st.none() | st.text(st.characters()), st.text())).map(tuple))
def test_mistakes_cross_whole_whatever_they_say(problems: tuple[Problem, ...]) -> None:
    assert handover.read(handover.written(problems)) == problems


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b'["Settings"',
        b'["Settings"]',
        b'["Secret", "canary-51c2"]',
        b'["os.system", "canary-51c2"]',
        b'[["Secret"], "canary-51c2"]',
        b'["Environment", "canary-51c2"]',
        b"[]",
        b"7",
        b'{"Secret": "canary-51c2"}',
    ],
)
def test_what_is_no_settings_is_refused_without_being_quoted(content: bytes) -> None:
    with pytest.raises(handover.NotHandedOverError) as caught:
        handover.read(content)
    assert str(caught.value) == "these are no settings"
    assert caught.value.__context__ is None


def test_no_part_of_an_answer_is_taken_for_the_whole() -> None:
    content = handover.written(load_settings({"LOCALPAYMENT_ENVIRONMENT": "sandbox", **ACCOUNT}))
    for end in range(len(content)):
        with pytest.raises(handover.NotHandedOverError):
            handover.read(content[:end])


def test_what_is_no_part_of_settings_cannot_cross() -> None:
    with pytest.raises(TypeError, match="handover knows no object"):
        handover.written((object(),))  # type: ignore[arg-type]  # what a mistake would hand over


def test_a_secret_still_crosses_by_no_other_way() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(load_settings({"LOCALPAYMENT_ENVIRONMENT": "sandbox", **ACCOUNT}))
    with pytest.raises(TypeError):
        pickle.dumps(Secret(CANARY))
