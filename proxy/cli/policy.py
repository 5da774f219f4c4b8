"""Explains what a policy decides, and makes the hash of a key for it. It asks no running sidecar.

A key is never printed.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from proxy.cli.admin.client import written
from proxy.cli.exits import Exit, failed
from proxy.cli.operations import matched, table

if TYPE_CHECKING:
    from proxy.api.operations import Match
    from proxy.policy.explain import Explanation
    from proxy.policy.file import PolicyFile

VARIABLE: Final = "PROXY_POLICY_FILE"
_KEY_BYTES: Final = 32  # 256 bits
_MOST_KEY: Final = 4096  # bytes of a key that is read


@click.group(short_help="Explain the policy, or make a key for it.")
def policy() -> None:
    """Explain what a policy file decides, or make the hash of a key for it.

    docs/policy.md says how to write one.
    """


@policy.command(short_help="Say what a caller may do, and which line decides.")
@click.argument("method")
@click.argument("path")
@click.option("--caller", help="A name in the policy.  [default: one that matches none of them]")
@click.option("--policy", "file", type=click.Path(path_type=Path), help=f"The policy file.  [default: {VARIABLE}]")
def explain(method: str, path: str, caller: str | None, file: Path | None) -> Exit:
    """Say what becomes of a caller's request, and which line of the policy decides.

    As in `policy explain --caller shop POST /api/payout`.

    Exit code 0 when the call passes, 1 when it is refused, 78 when the policy cannot be used.
    """
    match = matched(method, path)
    if isinstance(match, str):
        click.echo(f"refused, whatever the policy says: {match}")
        return Exit.FAILED
    set_file = written(VARIABLE, os.environ)
    place = file or (Path(set_file) if set_file else None)
    read = _read(place)
    names = [each.name for each in read.policy.callers]
    if caller is not None and caller not in names:
        message = f"the policy has no such caller; it has {', '.join(names)}"
        raise click.BadParameter(message, param_hint="--caller")
    from proxy.policy.explain import explain as explained  # noqa: PLC0415 - builds the catalogue

    explanation = explained(read, caller, match.operation)
    click.echo("\n".join(table(None, _rows(match, explanation, place))))
    return Exit.FINE if explanation.passes else Exit.FAILED


@policy.command("hash-key", short_help="Print the line of a key for the policy.")
@click.option("--new", type=click.Path(path_type=Path), help="Make a key, in this new file.")
def hash_key(new: Path | None) -> Exit:
    """Print the line `key_sha256 = …` of the policy for a key. The key is never printed.

    It is read from stdin, without one newline at its end, or asked for on a terminal. With --new it is made, and
    written to a file that only its owner can read.
    """
    from proxy.policy.identity import MIN_KEY_LENGTH, digest  # noqa: PLC0415 - hashlib

    if new is None:
        key = _read_key()
    else:
        key = secrets.token_urlsafe(_KEY_BYTES).encode()
        try:
            _write_new(new, key)
        except OSError as error:
            return failed(f"{new}: {error.strerror}; name a file that is not there yet, in a folder that is")
    hashed = digest(key)
    if hashed is None or len(key) > _MOST_KEY or not _is_sendable(key):
        return failed(
            f"a key has {MIN_KEY_LENGTH} to {_MOST_KEY} visible characters of ASCII: make one with --new FILE",
            Exit.USAGE,
        )
    click.echo(f'key_sha256 = ["{hashed.hex()}"]')
    return Exit.FINE


def _read(place: Path | None) -> PolicyFile:
    from proxy.policy.file import PolicyFileError, parse_policy, read_policy  # noqa: PLC0415 - builds the catalogue

    if place is None:
        return parse_policy(_WITHOUT_FILE)
    try:
        return read_policy(place)
    except PolicyFileError as error:
        text = "\n".join(f"{place}: {finding}" if finding.line else str(finding) for finding in error.findings)
    raise click.exceptions.Exit(failed(text, Exit.BAD_CONFIGURATION))


# What holds without a policy file (`proxy.policy.rules.DEFAULT`), as one would write it.
_WITHOUT_FILE: Final = """\
[callers.anyone]
anyone = true
allow = ["read", "quote", "state", "money_in", "money_out", "money_internal", "other"]
"""


def _rows(match: Match, explanation: Explanation, place: Path | None) -> list[tuple[str, ...]]:
    decision = explanation.decision
    because = explanation.because if place is not None else f"no policy file is set ({VARIABLE}): everything passes"
    return [
        ("caller", decision.caller),
        ("operation", f"{decision.operation} ({match.operation.kind.value})"),
        ("passes", "yes" if explanation.passes else "no, 403 operation_forbidden"),
        ("because", because),
        *(("note", note) for note in explanation.notes),
    ]


def _read_key() -> bytes:
    if sys.stdin.isatty():
        return str(click.prompt("Key", hide_input=True)).encode()
    return sys.stdin.buffer.read(_MOST_KEY + 2).removesuffix(b"\n").removesuffix(b"\r")


def _write_new(path: Path, key: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key + b"\n")


def _is_sendable(key: bytes) -> bool:
    return all(33 <= byte <= 126 for byte in key)  # noqa: PLR2004 - visible ASCII, which any client can put in a field
