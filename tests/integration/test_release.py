"""The part of docs/how-to/release.md that needs no network, done twice with a key that is thrown away."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "release.md").read_text("utf-8")
BOUND = 120  # seconds; only a defect reaches it

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("cyclonedx_py") is None, reason="the set `dev` is not installed"),
    pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not here"),
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone: a release has its commit's time"),
]


def ran(*command: str, folder: Path = ROOT, given: str | None = None) -> str:
    done = subprocess.run(command, cwd=folder, input=given, capture_output=True, text=True, check=False, timeout=BOUND)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def released(folder: Path, key: Path) -> Path:
    """`make dist` with this interpreter's environment as it is, into a folder."""
    venv = sys.prefix
    ran("make", "-o", f"{venv}/.dev", "dist", f"VENV={venv}", f"DIST={folder}", f"SIGN={key}")
    return folder


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "release-key"
    ran("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    return path


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Path:
    return released(tmp_path_factory.mktemp("first") / "release", key)


def test_who_takes_it_can_verify_it_with_the_commands_of_the_page(release: Path, key: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path, dirs_exist_ok=True)
    shutil.copy(key.with_suffix(".pub"), tmp_path)
    commands = re.findall(r"^\$ (.*(?:allowed_signers|--check).*)$", PAGE, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        ran("bash", "-c", command, folder=tmp_path)
    (tmp_path / "sbom.cdx.json").write_text("{}")
    checked = subprocess.run(commands[-1].split(), cwd=tmp_path, capture_output=True, check=False, timeout=BOUND)
    assert checked.returncode != 0, "a file that was changed is found"


def test_a_second_build_gives_the_same_bytes(release: Path, key: Path, tmp_path: Path) -> None:
    again = released(tmp_path / "again", key)
    assert (again / "SHA256SUMS").read_text() == (release / "SHA256SUMS").read_text()


def test_the_packages_hold_the_product_and_nothing_of_the_workplace(release: Path) -> None:
    (archive,) = release.glob("*.tar.gz")
    held = {name.split("/")[1] for name in ran("tar", "--list", "-f", str(archive)).split()}
    assert {"proxy", "tests", "docs", "config", "requirements", "pyproject.toml"} <= held
    assert not held & {".git", ".venv", "dist", ".env"}


def test_the_list_of_contents_names_exactly_what_is_pinned(release: Path) -> None:
    listed = json.loads((release / "sbom.cdx.json").read_text())
    pinned = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
    assert {(one["name"], one["version"]) for one in listed["components"]} == set(pinned)
    assert listed["metadata"]["component"]["name"] == "localpayment-proxy"
