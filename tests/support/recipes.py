"""Runs the recipes for callers (config/callers) as processes, each with what its language needs.

A recipe whose language or library is not installed is skipped, and says so.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER: Final = Path(__file__).parents[2] / "config" / "callers"
JARS: Final = os.environ.get("OKHTTP_JARS", "/usr/share/java/okhttp.jar:/usr/share/java/okio.jar")
GUZZLE: Final = os.environ.get("AUTOLOAD", "/usr/share/php/GuzzleHttp/autoload.php")
BOUND: Final = 60.0  # seconds that nothing here may take; only a defect reaches it


def needed(*programs: str, files: str = "") -> None:
    """Skip the test where a program, or one of the files (separated as in PATH), is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    missing += [name for name in files.split(":") if name and not Path(name).exists()]
    if missing:
        pytest.skip(f"THIS CALLER IS NOT TESTED: {', '.join(missing)} not here")


def _python(recipe: Path, _: Path) -> list[str]:
    return [sys.executable, str(recipe)]


def _node(recipe: Path, _: Path) -> list[str]:
    needed("node")
    return ["node", str(recipe)]


def _axios(recipe: Path, folder: Path) -> list[str]:
    command = _node(recipe, folder)
    found = subprocess.run(["node", "--eval", 'require("axios")'], capture_output=True, check=False, timeout=BOUND)  # noqa: S607 - from PATH
    if found.returncode:
        pytest.skip("AXIOS IS NOT TESTED: npm install axios, and name its node_modules in NODE_PATH")
    return command


def _ruby(recipe: Path, _: Path) -> list[str]:
    needed("ruby")
    return ["ruby", str(recipe)]


def _php(recipe: Path, _: Path) -> list[str]:
    needed("php", files=GUZZLE)
    return ["php", str(recipe)]


def _shell(recipe: Path, _: Path) -> list[str]:
    needed("bash", "curl")
    return ["bash", str(recipe)]


def _go(recipe: Path, folder: Path) -> list[str]:
    needed("go")
    made = folder / "pay"
    environment = {**os.environ, "GOCACHE": str(folder / "cache"), "GOFLAGS": "", "GO111MODULE": "off"}
    subprocess.run(["go", "build", "-o", made, recipe], env=environment, check=True, timeout=BOUND)  # noqa: S607 - from PATH
    return [str(made)]


def _java(recipe: Path, folder: Path, jars: str = "") -> list[str]:
    needed("javac", "java", files=jars)
    path = f"{folder}:{jars}"
    subprocess.run(["javac", "-nowarn", "-cp", path, "-d", folder, recipe], check=True, timeout=BOUND)  # noqa: S607 - from PATH
    return ["java", "-cp", path, recipe.stem]


def _okhttp(recipe: Path, folder: Path) -> list[str]:
    return _java(recipe, folder, JARS)


RECIPES: Final[dict[str, Callable[[Path, Path], list[str]]]] = {
    "pay_requests.py": _python,
    "pay_httpx.py": _python,
    "pay_aiohttp.py": _python,
    "pay_fetch.mjs": _node,
    "pay_http.mjs": _node,
    "pay_axios.cjs": _axios,
    "pay.go": _go,
    "PayHttpClient.java": _java,
    "PayOkHttp.java": _okhttp,
    "pay_guzzle.php": _php,
    "pay.rb": _ruby,
    "pay.sh": _shell,
}


async def prepared(name: str, folder: Path, change: tuple[str, str] | None = None) -> list[str]:
    """Return the command that runs a recipe, compiled into a folder if need be, with one text of it changed."""
    recipe = FOLDER / name
    if change is not None:
        text = await asyncio.to_thread(recipe.read_text, "utf-8")
        assert change[0] in text
        recipe = folder / name
        await asyncio.to_thread(recipe.write_text, text.replace(*change), "utf-8")
    return await asyncio.to_thread(RECIPES[name], recipe, folder)


async def said(command: list[str], url: str, *orders: str) -> list[str]:
    """Run it to its end; return the lines that it says, of which one is `order-1 paid`."""
    process = await asyncio.create_subprocess_exec(
        *(*command, url, *orders),
        env={**os.environ, "AUTOLOAD": GUZZLE},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(BOUND):
            out, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()
    return out.decode().splitlines()
