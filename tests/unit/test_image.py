"""What must hold of the Dockerfile, as far as its text shows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from proxy.cli.commands import commands
from tests.support.namespaces import PATIENTLY

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [
    line.split(maxsplit=1)
    for line in re.sub(r"\s*\\\n\s*", " ", re.sub(r"^#.*\n", "", TEXT, flags=re.MULTILINE)).splitlines()
    if line
]
FINAL = INSTRUCTIONS[max(at for at, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]


def last(name: str) -> str:
    return next(rest for found, rest in reversed(FINAL) if found == name)


def test_it_runs_as_a_numbered_user_that_is_not_root() -> None:
    user, group = last("USER").split(":")
    assert int(user) > 0
    assert int(group) > 0


def test_signals_reach_the_sidecar_because_no_shell_starts_it() -> None:
    assert json.loads(last("ENTRYPOINT")) == [*PATIENTLY, "localpayment-proxy"]
    assert json.loads(last("CMD")) == ["serve"]


def test_its_health_is_asked_by_a_command_of_ours() -> None:
    program, command = json.loads(last("HEALTHCHECK").split("CMD ")[1])
    assert program == "localpayment-proxy"
    assert command in commands.commands


def test_nothing_is_installed_without_a_hash_but_the_wheel_that_was_just_built() -> None:
    installs = re.findall(r"pip .*?install (.*?)(?:&&|$)", "\n".join(rest for _, rest in INSTRUCTIONS), re.MULTILINE)
    assert len(installs) == 4
    for arguments in installs:
        assert "--require-hashes --only-binary :all:" in arguments or "--no-deps --no-index" in arguments


def test_every_stage_starts_from_the_one_base_that_can_be_replaced() -> None:
    assert [rest.split()[0] for name, rest in INSTRUCTIONS if name == "FROM"] == ["${BASE}"] * 2


def test_the_base_is_pinned_by_digest() -> None:
    (base,) = (rest for name, rest in INSTRUCTIONS if name == "ARG" and rest.startswith("BASE="))
    assert re.fullmatch(r"BASE=docker\.io/library/python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


@pytest.mark.parametrize(
    "path",
    [
        "proxy",
        "requirements/run.txt",
        "requirements/otel.txt",
        "requirements/postgres.txt",
        "requirements/build.txt",
        "requirements/sbom.txt",
        "pyproject.toml",
        "PACKAGE.md",
    ],
)
def test_the_build_sees_what_it_needs_and_nothing_else(path: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "*"
    assert f"!{path}" in ignored
