"""CI runs what everybody runs, on every Python that the project names, and may do no more than read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHECK: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text())
every_workflow = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


@every_workflow
def test_every_action_is_githubs_own_and_pinned_to_one_commit(file: Path) -> None:
    used = [line for line in file.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not re.search(r"uses: actions/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


@every_workflow
def test_a_workflow_may_read_the_repository_and_nothing_else(file: Path) -> None:
    told = yaml.safe_load(file.read_text())
    assert told["permissions"] == {}
    assert all(job["permissions"] == {"contents": "read"} for job in told["jobs"].values())
    checkouts = [step for job in told["jobs"].values() for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert "pull_request_target" not in file.read_text()


@every_workflow
def test_nothing_from_outside_is_put_into_a_shell(file: Path) -> None:
    told = yaml.safe_load(file.read_text())
    commands = [step["run"] for job in told["jobs"].values() for step in job["steps"] if "run" in step]
    assert [command for command in commands if "${{" in command] == []


def test_a_release_is_off_until_it_is_switched_on_and_makes_what_the_page_says() -> None:
    told = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    (job,) = told["jobs"].values()
    assert job["if"] == "vars.RELEASE == 'on'"
    goals = re.findall(r"make PYTHON=python (\S+)", "\n".join(step.get("run", "") for step in job["steps"]))
    assert goals == ["image-check", "image-archive", "dist"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{goal}:", makefile, re.MULTILINE) for goal in goals)
    page = (ROOT / "docs" / "how-to" / "release.md").read_text()
    assert all(name in page for name in ("RELEASE_KEY", "sbom.cdx.json", "localpayment-proxy.oci.tar"))


def test_it_checks_every_python_that_the_project_names() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    assert CHECK["jobs"]["check"]["strategy"]["matrix"]["python"] == named


def test_it_runs_what_everybody_runs_with_what_the_cost_of_a_call_is_counted_with() -> None:
    install, command = (step["run"] for step in CHECK["jobs"]["check"]["steps"] if "run" in step)
    assert re.fullmatch(r"make PYTHON=python( --keep-going)? check", command)
    assert {"nginx", "util-linux", "valgrind"} <= set(install.split())
    goals = re.search(r"^check: (.*) ##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert goals is not None
    assert "bench-check" in goals[1].split()
