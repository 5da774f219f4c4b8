"""Counts machine instructions for each relayed call, which no noise of the machine moves, for four kinds of calls.

Run by `make bench-check`, and so by CI: fails when a call takes over 5 % more than the committed baseline says, or when
one that is traced, or whose body comes in a second segment, takes over 1.3 times an ordinary one, or one with the
ledger over 4 times. Another
interpreter, OpenSSL or valgrind takes another number, so that each has its own baseline; without one, or where valgrind
does not work, nothing is checked and that is said loudly.
"""

from __future__ import annotations

import json
import os
import platform
import re
import ssl
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import click

from tests.benchmarks.contenders import ROOT
from tests.benchmarks.ground import Ground, GroundError
from tests.benchmarks.tools import NGINX, SETARCH, TASKSET, VALGRIND, VGDB, MissingToolError, require
from tests.benchmarks.workload import DONE, KINDS, LEDGER, ORDINARY, READY, SEGMENTS, TRACED

if TYPE_CHECKING:
    from collections.abc import Sequence

BASELINE: Final = Path(__file__).with_name("instructions.json")
COUNTED_WITH: Final = (VALGRIND, VGDB, SETARCH, NGINX, TASKSET)
CALLS: Final = 1000
ALLOWED: Final = 0.05  # share of the baseline; repeated runs differ by 0.003
MOST_APART: Final = {TRACED: 1.3, SEGMENTS: 1.3, LEDGER: 4.0}  # times an ordinary call
ALLOWED_WITH_THREADS: Final = 0.1  # share, where which thread comes first makes a difference: runs differ by 0.04
_COLLECTED: Final = re.compile(r"Collected\s*:\s*(\d+)").search
_BOUND: Final = 300.0  # seconds that the counted process may take to end


class CountError(Exception):
    """The counted process does not do what it should; the text says what was said."""


class CannotCountError(Exception):
    """This machine lets nothing be counted; the text says why."""


@click.command()
@click.option("--repeat", type=click.IntRange(1), default=1, show_default=True, help="How often to count.")
@click.option("--calls", type=click.IntRange(1), default=CALLS, show_default=True, help="How many are counted.")
@click.option("--update", is_flag=True, help="Make what is counted now this interpreter's baseline.")
def main(*, repeat: int, calls: int, update: bool) -> None:
    """Count the instructions of a relayed call and compare them with the baseline."""
    try:
        require(COUNTED_WITH)
    except MissingToolError as error:
        skip(str(error))
        return
    try:
        with Ground() as ground:
            found = {kind: [counted(ground, calls, kind) / calls for _ in range(repeat)] for kind in KINDS}
    except CannotCountError as error:
        skip(str(error))
        return
    except (CountError, GroundError, OSError) as error:
        raise click.ClickException(str(error)) from error
    baselines: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    ordinary = median(found[ORDINARY])
    for kind, counts in found.items():
        now, who = median(counts), interpreter() if kind == ORDINARY else f"{interpreter()}, {kind}"
        click.echo(f"{now:,.0f} instructions for each call, {kind}" + _spread(counts))
        if update:
            baselines[who] = round(now)
            continue
        judge(now, baselines.get(who), who, ALLOWED_WITH_THREADS if kind == LEDGER else ALLOWED)
        most = MOST_APART.get(kind, 1.0)
        if now > most * ordinary:
            message = f"A call that is {kind} takes {now / ordinary:.2f} times an ordinary one; {most} is allowed."
            raise click.ClickException(message)
    if update:
        BASELINE.write_text(json.dumps(baselines, indent=2, sort_keys=True) + "\n")
        click.echo(f"These are the baselines of {interpreter()} now.")


def judge(now: float, before: float | None, who: str, allowed: float = ALLOWED) -> None:
    """Compare with the baseline of an interpreter; raise click's error when a call has become too dear."""
    if before is None:
        line = json.dumps({who: round(now)})[1:-1]
        skip(f"There is no baseline for {who}.\nFix: count a good revision, and add to {BASELINE.name}:\n{line}")
        return
    change = now / before - 1
    text = f"{change:+.1%} to the baseline of {before:,.0f}; up to {allowed:+.0%} is allowed."
    if change > allowed:
        message = f"{text} Fix: make the call cheaper, or say why it must be dearer and set UPDATE=1."
        raise click.ClickException(message)
    click.echo(text)


def skip(reason: str) -> None:
    """Say that nothing was checked, so that nobody takes it for a pass; on GitHub, beside the job too."""
    click.secho(f"\nNOT CHECKED, SKIPPED: the cost of a call.\n{reason}\n", err=True, bold=True)
    if "GITHUB_ACTIONS" in os.environ:
        click.echo("::warning title=NOT CHECKED::the cost of a call: " + reason.replace("\n", "%0A"))


def counted(ground: Ground, calls: int, kind: str = ORDINARY) -> int:
    """Return the instructions of so many calls, of the whole process.

    Raises:
        CannotCountError: valgrind cannot be told when to count.
        CountError: the process failed.
    """
    command: Sequence[str] = [
        *(SETARCH.found(), "--addr-no-randomize", VALGRIND.found(), "--tool=callgrind", "--instr-atstart=no"),
        *("--callgrind-out-file=/dev/null", sys.executable, "-P", "-m", "tests.benchmarks.workload", str(calls), kind),
    ]
    ledger = {"PROXY_LEDGER": f"sqlite:{ground.folder}/ledger.db", "PROXY_LEDGER_TIMEOUT": "60s"}
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**_environment(ground), **(ledger if kind == LEDGER else {})},
        cwd=ROOT,
    ) as process:
        try:
            return _conversation(process)
        finally:
            process.kill()


def _conversation(process: subprocess.Popen[str]) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    for word, order in ((READY, "on"), (DONE, "off")):
        said = process.stdout.readline().strip()
        if said != word:
            _, complaint = process.communicate(timeout=_BOUND)
            message = f"the counted process said {said!r} instead of {word!r}:\n{complaint[-2000:]}"
            raise CountError(message)
        tell(process.pid, order)
        process.stdin.write("go\n")
        process.stdin.flush()
    _, told = process.communicate(timeout=_BOUND)
    found = _COLLECTED(told)
    if found is None:
        message = f"valgrind told no count:\n{told[-2000:]}"
        raise CountError(message)
    return int(found[1])


def tell(pid: int, order: str) -> None:
    """Have valgrind begin or end to count, or raise CannotCountError: it is asked by ptrace, which may be forbidden."""
    command = [VGDB.found(), f"--pid={pid}", "instrumentation", order]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired as error:
        message = "vgdb did not reach valgrind within a minute. Fix: allow ptrace."
        raise CannotCountError(message) from error
    except subprocess.CalledProcessError as error:
        message = f"vgdb did not reach valgrind. Fix: allow ptrace. It said:\n{error.stderr[-500:]}"
        raise CannotCountError(message) from error


def _environment(ground: Ground) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
        "PYTHONHASHSEED": "0",
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": f"https://{ground.authority}",
        "LOCALPAYMENT_USERNAME": "invented",
        "LOCALPAYMENT_PASSWORD": "invented",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        "PROXY_UPSTREAM_CA_FILE": str(ground.ca_file),
    }


def interpreter() -> str:
    """Name what the number depends on besides the code: interpreter, its compiler, OpenSSL, valgrind, architecture."""
    openssl = ssl.OPENSSL_VERSION.split()[1]
    return (
        f"{platform.python_implementation()} {platform.python_version()} ({platform.python_compiler()}), "
        f"OpenSSL {openssl}, valgrind {VALGRIND.version()}, {platform.machine()}"
    )


def _spread(found: Sequence[float]) -> str:
    if len(found) == 1:
        return ""
    return f", median of {len(found)}; from {min(found):,.0f} to {max(found):,.0f}, {max(found) / min(found) - 1:.2%}"


if __name__ == "__main__":
    main()
