"""Finds what in a valid policy is probably not what its author meant.

Pure. Findings are advice: none of them stops the sidecar.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Final

from proxy.policy.file import Finding
from proxy.policy.grants import AUTHORIZE, KINDS, allowed_by, denied_by
from proxy.policy.identity import Identity
from proxy.policy.rules import Mode

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from proxy.policy.file import PolicyFile, Written
    from proxy.policy.rules import Caller

_MONEY_OUT: Final = KINDS["money_out"]


def lint(file: PolicyFile) -> tuple[Finding, ...]:
    """Return what is odd, in the order of the lines."""
    return tuple(sorted([*_exposed(file), *_unreachable_callers(file), *_idle_names(file), *_idle_duplicates(file)]))


def _exposed(file: PolicyFile) -> Iterator[Finding]:
    """What lets more pass than it seems to."""
    if file.permissions & stat.S_IWOTH:
        yield Finding(0, "", "every user of this machine may change the policy file: chmod o-w")
    if file.policy.mode is Mode.REPORT:
        text = "refuses no one: every caller, known or not, may move money out"
        yield Finding(file.lines.line("mode"), "mode", text)
    for caller in file.policy.callers:
        if caller.identity.anyone and file.policy.mode is Mode.ENFORCE:
            moving = _MONEY_OUT if caller.mode is Mode.REPORT else caller.allowed & _MONEY_OUT
            if moving:
                text = f"may move money out without authentication ({', '.join(sorted(moving))}): give it an identity"
                yield _finding(file, caller, "anyone", text)


def _unreachable_callers(file: PolicyFile) -> Iterator[Finding]:
    holders: dict[Hashable, str] = {}
    catch_all: str | None = None
    for caller in file.policy.callers:
        identity = caller.identity
        if identity == Identity():
            yield _finding(file, caller, None, "no one can be this caller: its identities are empty")
        if catch_all is not None and (identity.uids or identity.gids or identity.sans or identity.anyone):
            text = f"is known by its key alone, if it has one, since {catch_all!r} before it is anyone: move that down"
            yield _finding(file, caller, None, text)
        elif identity.anyone:
            catch_all = caller.name
        for key, value in _marks(identity):
            earlier = holders.setdefault((key, value), caller.name)
            if earlier != caller.name:
                shown = "a key" if key == "key_sha256" else repr(value)
                text = f"{shown} is {earlier!r}, which comes first: remove it from one of the two"
                yield _finding(file, caller, key, text, value)


def _marks(identity: Identity) -> Iterator[tuple[str, int | str]]:
    yield from (("uid", uid) for uid in identity.uids)
    yield from (("gid", gid) for gid in identity.gids)
    yield from (("san", name) for name in identity.sans)
    yield from (("key_sha256", key.hex()) for key in identity.keys)


def _idle_names(file: PolicyFile) -> Iterator[Finding]:
    """Names that could be taken out without a change."""
    for caller in file.policy.callers:
        written = file.written[caller.name]
        for name in _superfluous(written):
            yield _finding(file, caller, "allow", f"{name!r} adds nothing to the other names", name)
        for name in written.allow:
            if allowed_by((name,)) <= caller.denied:
                yield _finding(file, caller, "allow", f"{name!r} allows nothing, deny takes all of it away", name)
        for name in written.deny:
            if denied_by((name,)).isdisjoint(allowed_by(written.allow)):
                yield _finding(file, caller, "deny", f"{name!r} denies nothing that is allowed", name)
        for name in written.own_authorization:
            if name not in caller.allowed:
                yield _finding(file, caller, "own_authorization", f"{name!r} is not allowed, so it is never used", name)


def _idle_duplicates(file: PolicyFile) -> Iterator[Finding]:
    """Operations whose repeats are judged, and that no caller may call."""
    if file.policy.mode is Mode.REPORT or any(caller.mode is Mode.REPORT for caller in file.policy.callers):
        return
    for name in file.policy.duplicates:
        if not any(name in caller.allowed for caller in file.policy.callers):
            text = "says what becomes of repeats, but no caller may call it"
            yield Finding(file.lines.line("duplicates", name), f"duplicates.{name}", text)


def _superfluous(written: Written) -> list[str]:
    """Return names whose operations the others allow already, the smallest first."""
    kept = list(written.allow)
    found = []
    for name in sorted(written.allow, key=lambda name: len(allowed_by((name,)))):
        others = [*kept]
        others.remove(name)
        # Beside its release by date, the operation's own name is good to read.
        if name != AUTHORIZE and allowed_by((name,)) <= allowed_by(others):
            kept = others
            found.append(name)
    return found


def _finding(file: PolicyFile, caller: Caller, key: str | None, text: str, value: int | str | None = None) -> Finding:
    path = ("callers", caller.name) if key is None else ("callers", caller.name, key)
    line = file.lines.line(*path, value=value if isinstance(value, str) else None)
    return Finding(line, ".".join(path), text)
