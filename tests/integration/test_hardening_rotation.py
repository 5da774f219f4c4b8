"""A confined sidecar reads what takes a file's place, however it is put there, on a kernel with Landlock."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from proxy.secret import Secret
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.support.hardened import NAME, NEXT, WORD, needs_landlock, started, told
from tests.support.processes import BOUND, cleaned, running

if TYPE_CHECKING:
    from collections.abc import Callable

    Layout = tuple[Callable[[Path], Path], Callable[[Path], None]]

# Confines itself as a sidecar with these files does, and says what came of reading and appending once it is told to.
CONFINED = """
import dataclasses, json, sys
from pathlib import Path
from proxy.config import load_settings
from proxy.config.files import UnusableContentError, read_file
from proxy.hardening import harden
from proxy.ops.logs.background_writer import AppendedFile
account = {"LOCALPAYMENT_USERNAME": "u", "LOCALPAYMENT_PASSWORD": "p"}
settings = load_settings({"LOCALPAYMENT_ENVIRONMENT": "sandbox", **account})
named, audit, other = map(Path, sys.argv[1:])
hardening = harden(dataclasses.replace(settings, policy_file=named, audit_log=audit))
appended = AppendedFile(audit)
print(hardening, flush=True)
sys.stdin.readline()

def tried(act):
    try:
        return act()
    except (OSError, UnusableContentError) as error:
        return str(error)

print(json.dumps({
    "named": tried(lambda: read_file(named).text.reveal()),
    "other": tried(lambda: read_file(other).text.reveal()),
    "audit": tried(lambda: appended.write(b"line")),
}))
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def point(link: Path, target: str | Path) -> None:
    """Make a link, or let it lead elsewhere at once, as Kubernetes does."""
    fresh = link.with_name("..fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


def as_kubernetes(folder: Path) -> Path:
    """A volume with `items` whose path has folders."""
    write(folder / "volume/..2024/deep/nested/file", "old")
    point(folder / "volume/..data", "..2024")
    point(folder / "volume/deep", "..data/deep")
    return folder / "volume/deep/nested/file"


def as_kubernetes_again(folder: Path) -> None:
    write(folder / "volume/..2025/deep/nested/file", "new")
    point(folder / "volume/..data", "..2025")
    shutil.rmtree(folder / "volume/..2024")


def released(folder: Path) -> Path:
    write(folder / "app/releases/1/conf/file", "old")
    point(folder / "app/current", "releases/1")
    return folder / "app/current/conf/file"


def released_again(folder: Path) -> None:
    write(folder / "app/releases/2/conf/file", "new")
    point(folder / "app/current", "releases/2")


def released_elsewhere(folder: Path) -> Path:
    write(folder / "data/releases/1/file", "old")
    (folder / "app").mkdir()
    point(folder / "app/current", folder / "data/releases/1")
    return folder / "app/current/file"


def released_elsewhere_again(folder: Path) -> None:
    write(folder / "data/releases/2/file", "new")
    point(folder / "app/current", folder / "data/releases/2")


def chained(folder: Path) -> Path:
    write(folder / "one/versions/1/file", "old")
    (folder / "two").mkdir()
    point(folder / "two/stable", "../one/versions/1")
    (folder / "three").mkdir()
    point(folder / "three/file", "../two/stable/file")
    return folder / "three/file"


def chained_again(folder: Path) -> None:
    write(folder / "one/versions/2/file", "new")
    point(folder / "two/stable", "../one/versions/2")


def plain(folder: Path) -> Path:
    return write(folder / "secrets/file", "old")


def made_anew(folder: Path) -> None:
    shutil.rmtree(folder / "secrets")
    write(folder / "secrets/file", "new")


def swapped(folder: Path) -> None:
    write(folder / "fresh/file", "new")
    (folder / "secrets").rename(folder / "old")
    (folder / "fresh").rename(folder / "secrets")


LAYOUTS: dict[str, Layout] = {
    "Kubernetes volume with nested paths": (as_kubernetes, as_kubernetes_again),
    "link to a release": (released, released_again),
    "link to a release elsewhere": (released_elsewhere, released_elsewhere_again),
    "links through links": (chained, chained_again),
    "folder removed and made anew": (plain, made_anew),
    "folder swapped for another": (plain, swapped),
}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def confined(named: Path, audit: Path, other: Path, change: Callable[[], None]) -> dict[str, str | None]:
    """What a confined process reads and appends after a change."""
    command = (sys.executable, "-c", CONFINED, str(named), str(audit), str(other))
    environ = {**cleaned({}), "PYTHONPATH": str(Path.cwd())}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environ, text=True, **pipes) as process:  # type: ignore[call-overload]  # pipes
        assert "confined by Landlock" in process.stdout.readline()
        change()
        said, _ = process.communicate("\n", timeout=BOUND)
    found: dict[str, str | None] = json.loads(said)
    return found


@needs_landlock
@every_layout
def test_what_takes_the_place_of_a_file_is_read_and_nothing_else(layout: Layout, tmp_path: Path) -> None:
    make, change = layout
    files, logs = tmp_path / "files", tmp_path / "logs"
    files.mkdir()
    logs.mkdir()
    named = make(files)
    audit = make(logs)
    other = write(tmp_path / "other/file", "not ours")

    def both() -> None:
        change(files)
        change(logs)

    found = confined(named, audit, other, both)
    assert found["named"] == "new"
    assert found["audit"] is None
    assert audit.read_text() == "new\nline", "a file that ends within a line is ended first"
    assert "may not be read" in str(found["other"])
    assert "PROXY_HARDENING" in str(found["other"]), "the reason may be another than the user's permissions"


@needs_landlock
@every_layout
async def test_a_sidecar_takes_the_next_password_in_every_layout(layout: Layout, tmp_path: Path) -> None:
    make, change = layout
    named = make(tmp_path)
    named.write_text(WORD)
    async with Simulator(SimulatorOptions(username=Secret(NAME), password=Secret(WORD))) as simulator:
        settings = told(
            simulator,
            LOCALPAYMENT_PASSWORD_FILE=str(named),
            LOCALPAYMENT_CREDENTIALS_INTERVAL="100ms",
        )
        async with running("serve", settings=settings) as sidecar:
            assert (await started(sidecar))["hardening"].startswith("files confined")
            change(tmp_path)
            named.write_text(NEXT)
            await sidecar.says("credentials.changed")
            assert (await sidecar.stopped()).code == 0
