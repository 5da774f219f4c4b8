"""Builds the image and runs it, with buildah and podman, from a base image that is there: nothing is pulled.

IMAGE_TESTS says when: `1` always, `if-possible` where both tools and the base image are, unset never, since a build
takes a minute. What is built and started here is removed here, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

ROOT = Path(__file__).parents[2]
PINNED = re.findall(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
LIKE_IT = "docker.io/library/python:3.13-slim-bookworm"  # stands in for it where it is there and the pinned one is not
BUILD_BOUND, BOUND = 800, 60  # seconds that nothing here may take; only a defect reaches them
# All that a container of ours may do: nothing, on a file system that takes no byte, /tmp included.
CONFINED = (
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"),
    *("--pull=never", "--network=host", "--no-healthcheck", "--ulimit=nofile=4096:4096", "--ulimit=nproc=1024:1024"),
)
# It needs no systemd, and runc where that is: crun runs nothing where both versions of cgroups are mounted.
PODMAN = ("podman", "--cgroup-manager=cgroupfs", *(("--runtime=runc",) if shutil.which("runc") else ()))
SHARED = ("/", "/etc", "/usr", "/opt", "/var")  # too much to lend for one file of it


def ran(*command: str, bound: float = BOUND) -> str:
    """Run a command to its end; return what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=bound)
    assert done.returncode == 0, f"{command[:3]}: {done.stderr[-3000:]}"
    return done.stdout


@functools.cache
def buildah() -> tuple[str, ...]:
    """Buildah, with podman's storage."""
    return ("buildah", f"--storage-driver={ran(*PODMAN, 'info', '--format', '{{.Store.GraphDriverName}}').strip()}")


@functools.cache
def there(name: str) -> bool:
    """Whether an image is in podman's storage."""
    asked = [*PODMAN, "image", "exists", name]
    return subprocess.run(asked, capture_output=True, check=False, timeout=BOUND).returncode == 0


@functools.cache
def base() -> str:
    """The image that ours is built on here."""
    named = os.environ.get("IMAGE_BASE") or PINNED
    return LIKE_IT if named == PINNED and not there(PINNED) and there(LIKE_IT) else named


def missing() -> str:
    """What keeps the image from being built here; empty when nothing does."""
    absent = [tool for tool in ("buildah", "podman") if shutil.which(tool) is None]
    if absent:
        return f"no {' and no '.join(absent)}"
    return "" if there(base()) else f"no base image: podman pull {base()}"


def skipped() -> str:
    """Why the image is not tested; empty when it is."""
    match os.environ.get("IMAGE_TESTS", ""):
        case "":
            return "it takes a minute, and is done by `make image-check`"
        case "if-possible":
            return missing()
        case _:
            return ""


def lent() -> Iterator[str]:
    """How pip finds its index on this machine, lent to the build and left out of the image: options of buildah."""
    pip = (sys.executable, "-m", "pip", "config")
    files = re.findall(r"^ +(/\S+), exists: True", ran(*pip, "debug"), re.MULTILINE)
    named = re.findall(r"(?:file://)?(/[^ ':]+)", ran(*pip, "list"))
    certificates = ("/etc/ssl/certs", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
    paths = {Path(text.removesuffix("/simple")) for text in (*files, *named, *certificates)}
    for path in sorted(path for path in paths if path.exists() and str(path) not in SHARED):
        if not paths.intersection(path.parents):
            yield f"--volume={path}:{path}:ro"


@contextlib.contextmanager
def image(moment: int) -> Iterator[str]:
    """Build the Dockerfile for a moment in seconds since the epoch; remove the image with the block."""
    tag = f"localhost/localpayment-proxy:test-{uuid.uuid4().hex[:12]}"
    told = [f"--build-arg=BASE={base()}", f"--build-arg=SOURCE_DATE_EPOCH={moment}"]
    how = ["--isolation=chroot", "--pull-never", "--format=docker", *lent(), *told]
    ran(*buildah(), "bud", *how, "--tag", tag, "--file", str(ROOT / "Dockerfile"), str(ROOT), bound=BUILD_BOUND)
    try:
        yield tag
    finally:
        ran(*buildah(), "rmi", tag)


def size(name: str) -> int:
    """An image's size in bytes, with all that it is built on."""
    return int(ran(*PODMAN, "image", "inspect", "--format", "{{.Size}}", name))


def output(tag: str, *command: str) -> str:
    """What a program of the image says in a container of its own."""
    program, *arguments = command
    return ran(*PODMAN, "run", "--rm", *CONFINED, f"--entrypoint={program}", tag, *arguments)


class Container:
    """A container that runs the image's own command."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self._process = process
        self.said = ""

    async def says(self, text: str) -> str:
        """Wait for a line that holds a text; return it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(BOUND):
            while line := (await self._process.stdout.readline()).decode():
                self.said += line
                if text in line:
                    return line
        message = f"{text!r} was never said:\n{self.said}"
        raise AssertionError(message)

    async def asked(self, *command: str) -> str:
        """What an engine's command says of it."""
        return await asyncio.to_thread(ran, *PODMAN, *command)

    async def ended(self) -> int:
        """Wait for the end; return the exit code."""
        assert self._process.stdout is not None
        async with asyncio.timeout(BOUND):
            self.said += (await self._process.stdout.read()).decode()
            return await self._process.wait()


@contextlib.contextmanager
def volume() -> Iterator[str]:
    """Name a volume, which the first container that mounts it makes; it is removed with the block."""
    name = f"localpayment-proxy-test-{uuid.uuid4().hex[:12]}"
    try:
        yield name
    finally:
        ran(*PODMAN, "volume", "rm", "--force", name)


@contextlib.asynccontextmanager
async def container(tag: str, settings: Mapping[str, str], *options: str) -> AsyncIterator[Container]:
    """Run the image, with the engine's options, until the block ends; it is removed then."""
    name = f"localpayment-proxy-test-{uuid.uuid4().hex[:12]}"
    told = [f"--env={key}={value}" for key, value in settings.items()]
    process = await asyncio.create_subprocess_exec(
        *(*PODMAN, "run", f"--name={name}", *CONFINED, *options, *told, tag),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Container(name, process)
    finally:
        await asyncio.to_thread(ran, *PODMAN, "rm", "--force", "--time=0", name)
        await process.wait()
