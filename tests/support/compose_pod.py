"""Runs docker-compose.yml's services as processes of one network namespace, as the containers would stand.

`unshare --user --map-root-user --net -- python -m tests.support.compose_pod FOLDER`: what was seen is printed as JSON.
Each process gets the file's own command and environment; paths of a container become those that are mounted there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
BOUND = 60.0  # seconds that no wait here may take; only a defect reaches it
PROGRAMS = {"python": sys.executable, "prometheus": shutil.which("prometheus") or "prometheus"}
ASKED = "http://127.0.0.1:9090/api/v1/"


def mounts(service: dict[str, Any], folder: Path) -> dict[str, str]:
    """Path in the container → path here."""
    bound = [volume.split(":")[:2] for volume in service.get("volumes", ())]
    scratch = [volume.split(":")[0] for volume in service.get("tmpfs", ())]
    return {
        **{target: str((ROOT if source.startswith(".") else folder) / source) for source, target in bound},
        **{target: str(folder / target.strip("/")) for target in scratch},
    }


def command(service: dict[str, Any], program: list[str], folder: Path) -> list[str]:
    """What the container would run, for here; `program` is the image's entry point."""
    words = [*service.get("entrypoint", program), *service["command"]]
    words = [moved(word, service, folder) for word in words]
    first = PROGRAMS.get(words[0])
    return [first, *words[1:]] if first else words


def moved(text: str, service: dict[str, Any], folder: Path) -> str:
    """A word or a setting, with the container's paths as they are here."""
    for there, here in mounts(service, folder).items():
        text = re.sub(rf"(?:^|(?<=[=:])){re.escape(there)}(?=/|$)", here, text)
    return text


@contextlib.contextmanager
def started(name: str, program: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    service = SERVICES[name]
    kept = {key: value for key, value in os.environ.items() if key == "PATH"}
    told = {key: moved(value, service, folder) for key, value in service.get("environment", {}).items()}
    for place in map(Path, mounts(service, folder).values()):
        if not place.exists():
            place.mkdir()
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command(service, program, folder),
            env={**kept, **told},
            cwd=ROOT,
            stdout=log,
            stderr=log,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(condition: Callable[[], object]) -> Any:
    """Wait until a condition is true, and return what it was; None when it never became so."""
    end = time.monotonic() + BOUND
    while time.monotonic() < end:
        with contextlib.suppress(URLError, ConnectionError):
            found = condition()
            if found:
                return found
        time.sleep(0.1)
    return None


def got(url: str) -> Any:
    with urlopen(url, timeout=5) as answer:  # noqa: S310 - our own URL
        return json.load(answer)


def series(query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = got(f"{ASKED}query?query={quote(query)}")["data"]["result"]
    return found


def healthy() -> bool:
    asked = [sys.executable, "-m", "proxy", "healthcheck"]
    return subprocess.run(asked, cwd=ROOT, check=False, capture_output=True, timeout=BOUND).returncode == 0


def ledger(folder: Path) -> list[dict[str, Any]]:
    """What the sidecar's ledger holds, asked as in its container."""
    service = SERVICES["sidecar"]
    place = {"PROXY_LEDGER": moved(service["environment"]["PROXY_LEDGER"], service, folder)}
    asked = [sys.executable, "-m", "proxy", "ledger", "list", "--json"]
    done = subprocess.run(asked, cwd=ROOT, env={**os.environ, **place}, check=True, capture_output=True, timeout=BOUND)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def seen(folder: Path) -> dict[str, object]:
    """Start what there is, look, and end it in the other order."""
    told: dict[str, object] = {}
    ours = [sys.executable, "-m", "proxy"]
    with started("simulator", ours, folder), started("sidecar", ours, folder) as sidecar:
        told["healthy"] = until(healthy)
        with started("caller", ours, folder) as caller:
            rounds = folder / "caller.log"
            told["payments"] = until(lambda: rounds.read_text().count("payment: 201") >= 2)
            if shutil.which("prometheus"):
                with started("prometheus", ["prometheus"], folder):
                    told["scraped"] = until(
                        lambda: series('localpayment_proxy_requests_total{operation="create_payin"}')
                    )
                    told["rules"] = [group["name"] for group in got(f"{ASKED}rules")["data"]["groups"]]
            caller.terminate()
            caller.wait(BOUND)
            told["caller"] = sorted(
                {line.partition(" {")[0] for line in rounds.read_text().splitlines() if "{" in line}
            )
            told["ledger"] = ledger(folder)
        sidecar.terminate()
        told["sidecar's exit code"] = sidecar.wait(BOUND)
    return told


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=BOUND)  # noqa: S607 - from PATH
    sys.stdout.write(json.dumps(seen(Path(sys.argv[1]))))
