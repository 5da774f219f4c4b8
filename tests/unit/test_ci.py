"""CI installs what tests would be skipped without, and leaves nothing running."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.benchmarks.instructions import COUNTED_WITH

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / ".ci" / "run"
NEEDS = re.findall(r'^  "([\w-]+):(.*)"$', SCRIPT.read_text(), re.MULTILINE)
PACKAGES = {package for package, _ in NEEDS}
SKIPPING = sorted(
    {
        (page.name, package)
        for page in (ROOT / "tests").rglob("*.py")
        for package in re.findall(r"\bapt-get install ([\w-]+)", page.read_text())
    }
)


def sourced(commands: str, folder: Path) -> str:
    """Run commands with the functions of the script, and with a folder of the test's in place of /usr/sbin."""
    functions = SCRIPT.read_text().partition("mapfile")[0].replace("/usr/sbin", str(folder))
    text = functions.replace('cd "$(dirname', ': "$(dirname')
    done = subprocess.run(["bash", "-c", text + commands], capture_output=True, check=True, text=True, timeout=20)  # noqa: S607 - from PATH
    return done.stdout


def test_some_test_is_skipped_without_something() -> None:
    assert {"prometheus", "chromium"} <= {package for _, package in SKIPPING}


@pytest.mark.parametrize(("page", "package"), SKIPPING)
def test_what_a_test_is_skipped_without_is_installed(page: str, package: str) -> None:
    assert package in PACKAGES, f"{page} is skipped in CI"


def test_what_the_cost_of_a_call_is_counted_with_is_installed() -> None:
    fixes = [tool.fix.rpartition("apt-get install ")[2] for tool in COUNTED_WITH]
    assert set(fixes) <= PACKAGES, "nothing is counted in CI"


@pytest.mark.parametrize(("package", "asked"), NEEDS)
def test_what_is_asked_of_a_package_is_a_command_that_the_shell_can_read(package: str, asked: str) -> None:
    said = subprocess.run(["bash", "-n", "-c", asked], capture_output=True, check=False, text=True, timeout=20)  # noqa: S607 - from PATH
    assert (said.returncode, said.stderr) == (0, ""), package


def test_what_was_not_checked_is_said_again_at_the_end() -> None:
    ending = SCRIPT.read_text().partition("make --keep-going check")[2]
    log = "\n\nNOT CHECKED, SKIPPED: the cost of a call.\nwhy\n\n=== 7 passed in 1.00s ===\n"
    shown = ending.partition("\n")[2].replace('"$log"', "<(printf %s '" + log + "')").replace('"$status"', "0")
    said = subprocess.run(["bash", "-c", shown], capture_output=True, check=True, text=True, timeout=20)  # noqa: S607 - from PATH
    assert said.stdout.splitlines()[0] == "NOT CHECKED, SKIPPED: the cost of a call."
    assert said.stdout.splitlines()[-1].strip() == "7 passed in 1.00s"


def test_no_service_of_an_installed_package_is_started(tmp_path: Path) -> None:
    said = sourced('forbid_services; "$policy" || echo $?', tmp_path)
    assert said == "101\n"
    assert not list(tmp_path.iterdir()), "what forbids services outlives the script"


def test_what_forbids_services_already_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "policy-rc.d").write_text("of the image\n")
    sourced("forbid_services", tmp_path)
    assert (tmp_path / "policy-rc.d").read_text() == "of the image\n"
