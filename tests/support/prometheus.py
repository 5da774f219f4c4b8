"""Asks a real Prometheus, with the scrape configuration and the rules that are shipped, faster if need be.

Faster means: every duration below a day, divided by one factor, in a copy of the rules. Days stay days: history is
made up and imported instead. No threshold is touched, but for those that compare seconds of Prometheus's own clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

CONFIG = Path(__file__).parents[2] / "config" / "prometheus"
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
BOUND = 60.0  # seconds that nothing here may take; only a defect reaches it
DAY = 86400
MILLISECONDS = {"s": 1000, "m": 60_000, "h": 3_600_000}
# `[5m]` and `offset 20m`, but neither `[7d]` nor `offset 1d`.
WINDOW = re.compile(r"(?<=\[)(\d+)([smh])(?=\])|(?<=offset )(\d+)([smh])\b")
SUBQUERY = re.compile(r"\[\w+:")
DURATION = re.compile(r"(\d+)([smh])")
# Rules that compare seconds with a number, of a time that Prometheus itself tells.
OWN_CLOCK = {"LocalpaymentProxyDrainStuck": 120}
RULES: tuple[str, ...] = tuple(yaml.safe_load((CONFIG / "scrape.yml").read_text())["rule_files"])


def needs_prometheus(what: str) -> pytest.MarkDecorator:
    reason = f"{what} NOT TESTED: no Prometheus here; apt-get install prometheus"
    return pytest.mark.skipif(PROMETHEUS is None or PROMTOOL is None, reason=reason)


def alerts() -> set[str]:
    """The names of all alerts that are shipped."""
    groups = [group for name in RULES for group in yaml.safe_load((CONFIG / name).read_text())["groups"]]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


def shorter(duration: str, factor: float) -> str:
    found = DURATION.fullmatch(duration)
    assert found is not None, duration
    return f"{round(int(found[1]) * MILLISECONDS[found[2]] / factor)}ms"


def compressed(text: str, factor: float) -> str:
    """A file of rules whose durations below a day are divided by the factor."""
    rules = yaml.safe_load(text)
    for group in rules["groups"]:
        if "interval" in group:
            group["interval"] = shorter(group["interval"], factor)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = shorter(rule["for"], factor)
            assert not SUBQUERY.search(rule["expr"]), "its two durations would stay as they are"
            rule["expr"] = WINDOW.sub(lambda found: shorter(found[0], factor), rule["expr"])
            if rule.get("alert") in OWN_CLOCK:
                seconds = OWN_CLOCK[rule["alert"]]
                assert rule["expr"].count(f"> {seconds}") == 1
                rule["expr"] = rule["expr"].replace(f"> {seconds}", f"> {seconds / factor:g}")
    return yaml.safe_dump(rules)


def configuration(folder: Path, jobs: Mapping[str, str], factor: float) -> Path:
    """Write what is shipped, for other targets and so many times as fast; `jobs` says what scrapes which address."""
    told = yaml.safe_load((CONFIG / "scrape.yml").read_text())
    interval = shorter(told["global"]["scrape_interval"], factor)
    told["global"] = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
    (shipped,) = told["scrape_configs"]
    told["scrape_configs"] = [
        {**shipped, "job_name": job, "static_configs": [{"targets": [target]}]} for job, target in jobs.items()
    ]
    for name in RULES:
        (folder / name).write_text(compressed((CONFIG / name).read_text(), factor))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(told))
    return folder / "prometheus.yml"


def imported(folder: Path, series: Mapping[str, float], days: float, until: float) -> None:
    """Give a Prometheus that is yet to start a past: a value every four minutes, from days ago to seconds ago."""
    now = time.time()
    lines = [
        f"{name} {value} {at}"
        for name, value in series.items()
        for at in range(int(now - days * DAY), int(now - until), 240)
    ]
    (folder / "past.txt").write_text("\n".join([*lines, "# EOF", ""]))
    command = [str(PROMTOOL), "tsdb", "create-blocks-from", "openmetrics", "-q", str(folder / "past.txt")]
    subprocess.run([*command, str(folder / "data")], check=True, capture_output=True, timeout=BOUND)


@contextlib.asynccontextmanager
async def prometheus(folder: Path, file: Path) -> AsyncIterator[Any]:
    """Run a Prometheus; give what asks it: a query → the series of its answer."""
    assert PROMETHEUS is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        PROMETHEUS,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession(f"http://{address}") as session:

            async def ask(query: str) -> list[dict[str, Any]]:
                async with session.get("/api/v1/query", params={"query": query}) as answer:
                    said = await answer.json()
                assert said["status"] == "success", f"{query}: {said}"
                result: list[dict[str, Any]] = said["data"]["result"]
                return result

            await _ready(session)
            yield ask
    finally:
        process.kill()
        await process.wait()


async def _ready(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(BOUND):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get("/-/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.1)
