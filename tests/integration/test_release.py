"""The part of docs/how-to/release.md that needs no network, done twice with a key that is thrown away."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
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


@pytest.fixture(scope="module")
def installed(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel; what it needs is lent by this one, which has the pinned versions."""
    folder = tmp_path_factory.mktemp("installed")
    ran(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = folder / "bin" / "python"
    (wheel,) = release.glob("*.whl")
    pip(python, wheel)
    own = Path(ran(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip())
    (own / "lent.pth").write_text(
        sysconfig.get_path("purelib")
    )  # its own .pth files, and so the clone, count for nothing
    return folder


def pip(python: Path, wheel: Path) -> None:
    ran(sys.executable, "-m", "pip", "-q", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel))


def test_what_was_installed_from_the_wheel_shows_the_demo(installed: Path) -> None:
    where = ran(str(installed / "bin" / "python"), "-c", "import proxy; print(proxy.__file__)", folder=installed)
    assert Path(where).is_relative_to(installed)
    said = ran(str(installed / "bin" / "localpayment-proxy"), "demo", "--once", folder=installed)
    assert "curl" in said


def test_what_was_installed_gives_out_pages_and_files(installed: Path, tmp_path: Path) -> None:
    command = str(installed / "bin" / "localpayment-proxy")
    assert ran(command, "docs", "errors", folder=installed) == (ROOT / "docs" / "errors.md").read_text("utf-8")
    ran(command, "files", "export", str(tmp_path), folder=installed)
    tracked = ran("git", "ls-files", "config").split()
    assert {name for name in tracked if not (tmp_path / name).is_file()} == set()


def test_another_distribution_with_a_package_of_that_name_ends_the_command_at_once(
    installed: Path, tmp_path: Path
) -> None:
    shutil.copytree(installed, tmp_path / "both", symlinks=True)
    python = tmp_path / "both" / "bin" / "python"
    wheel = tmp_path / "other-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("proxy/__init__.py", "")
        archive.writestr("other-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: other\nVersion: 1\n")
        archive.writestr("other-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("other-1.dist-info/RECORD", "proxy/__init__.py,,\n")
    pip(python, wheel)
    done = subprocess.run(
        [python, "-m", "proxy", "--version"], cwd=tmp_path, capture_output=True, check=False, text=True, timeout=BOUND
    )
    assert done.returncode == 1
    assert "install it into an environment of its own" in done.stderr
