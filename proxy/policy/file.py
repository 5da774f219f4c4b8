"""Reads a policy file: TOML text → Policy, or every mistake in it at once, each with its line and its fix.

No message may quote a key or its hash, nor anything a caller sends.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from proxy.api.operations import OPERATIONS, OTHER
from proxy.config.files import UnusableContentError, read_file
from proxy.policy import file_values as values
from proxy.policy.grants import EVERYTHING, GRANT_NAMES, allowed_by, denied_by
from proxy.policy.identity import Identity
from proxy.policy.rules import UNKNOWN, Caller, Mode, Policy
from proxy.policy.toml_lines import TomlLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from proxy.policy.rate_limit import Rate
    from proxy.policy.rules import Duplicates

_T = TypeVar("_T")
_D = TypeVar("_D")

_KEYS: Final = frozenset(("mode", "callers", "duplicates"))
_WITH_EFFECTS: Final = frozenset(one.name for one in (*OPERATIONS, OTHER) if one.has_effects)
_IDENTITY: Final = ("uid", "gid", "san", "key_sha256", "anyone")
_CALLER_KEYS: Final = frozenset((*_IDENTITY, "allow", "deny", "own_authorization", "mode", "rate", "burst"))
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}").fullmatch
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,40}").fullmatch
_PLACE: Final = re.compile(r"at line (\d+), column \d+").search
_grant: Final = values.one_of(GRANT_NAMES, "docs/policy.md lists operations, kinds and presets")
_operation: Final = values.one_of(EVERYTHING, "docs/policy.md lists the operations")


class Finding(NamedTuple):
    """Something about a policy file; str() is one line.

    Attributes:
        line: counted from 1, or 0 for the file as a whole.
        where: the key, its tables before it.
        text: what is wrong, or odd, and what to do.
    """

    line: int
    where: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (f"line {self.line}" if self.line else "", self.where, self.text) if part)


class PolicyFileError(Exception):
    """A policy file cannot be used; `findings` names every mistake in it, in the order of its lines."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(sorted(findings))
        super().__init__("\n".join(str(finding) for finding in self.findings))


class Written(NamedTuple):
    """A caller's names as they are written, for lint and explanations."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    own_authorization: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy that can be used, and how it is written.

    Attributes:
        policy: what to ask.
        written: each caller's names, by the caller's own.
        lines: where everything stands.
        permissions: the file's permission bits, 0 for a text.
    """

    policy: Policy
    written: dict[str, Written]
    lines: TomlLines = field(repr=False)
    permissions: int = 0


def read_policy(path: Path) -> PolicyFile:
    """Read a policy file.

    Raises:
        PolicyFileError: it cannot be read, or has mistakes.
    """
    try:
        read = read_file(path)
    except UnusableContentError as error:
        raise PolicyFileError([Finding(0, str(path), str(error))]) from None
    return replace(parse_policy(read.text.reveal()), permissions=read.mode)


def parse_policy(text: str) -> PolicyFile:
    """Make a policy of a file's text.

    Raises:
        PolicyFileError: it has mistakes.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = _PLACE(str(error))
        line = int(place[1]) if place else text.count("\n") + 1
        finding = Finding(line, "", 'is not TOML: write key = "value", one a line, texts in quotes, each key once')
        raise PolicyFileError([finding]) from None
    return _Reading(TomlLines.of(text)).policy_file(table)


class _Reading:
    """One reading of a file: it goes on after a mistake."""

    def __init__(self, lines: TomlLines) -> None:
        self._lines = lines
        self._findings: list[Finding] = []
        self._written: dict[str, Written] = {}

    def policy_file(self, table: dict[str, object]) -> PolicyFile:
        self._refuse_unknown_keys((), table, _KEYS)
        mode = self._value((), table, "mode", values.mode, Mode.ENFORCE)
        callers = table.get("callers")
        if not isinstance(callers, dict) or not callers:
            self._wrong(("callers",), "names no caller: write a table [callers.NAME] for each caller")
            callers = {}
        made = [self._caller(name, caller, mode) for name, caller in callers.items()]
        duplicates = self._duplicates(table.get("duplicates", {}))
        if self._findings:
            raise PolicyFileError(self._findings)
        return PolicyFile(Policy(made, mode, duplicates), self._written, self._lines)

    def _duplicates(self, table: object) -> dict[str, Duplicates]:
        path = ("duplicates",)
        if not isinstance(table, dict):
            self._wrong(path, 'must be a table: write [duplicates], and operations below, as create_payout = "refuse"')
            return {}
        for name in table.keys() - _WITH_EFFECTS:
            hint = "only operations that change something are in the ledger; docs/policy.md lists them"
            self._wrong((*path, name), values.unknown_name(name, _WITH_EFFECTS, hint))
        found = {name: self._value(path, table, name, values.duplicates, None) for name in table}
        return {name: value for name, value in found.items() if value is not None}

    def _caller(self, name: str, table: object, mode: Mode) -> Caller:
        path = ("callers", name)
        if not _NAME(name) or name == UNKNOWN:
            self._wrong(path, f"a name has up to 40 of a-z, 0-9, _ and -, and is not {UNKNOWN!r}")
        if not isinstance(table, dict):
            self._wrong(path, "must be a table: write its name as [callers.NAME], and its keys below")
            table = {"anyone": True, "allow": []}
        self._require_keys(path, table)
        written = self._written[name] = Written(
            tuple(self._values(path, table, "allow", _grant)),
            tuple(self._values(path, table, "deny", _grant)),
            tuple(self._values(path, table, "own_authorization", _operation)),
        )
        denied = denied_by(written.deny)
        return Caller(
            name,
            self._identity(path, table),
            allowed_by(written.allow) - denied,
            denied,
            frozenset(written.own_authorization),
            self._value(path, table, "mode", values.mode, mode),
            self._rate(path, table),
        )

    def _identity(self, path: tuple[str, ...], table: dict[str, object]) -> Identity:
        return Identity(
            frozenset(self._values(path, table, "uid", values.numeric_id)),
            frozenset(self._values(path, table, "gid", values.numeric_id)),
            frozenset(self._values(path, table, "san", values.certificate_name)),
            tuple(self._values(path, table, "key_sha256", values.key_digest)),
            self._value(path, table, "anyone", values.flag, default=False),
        )

    def _rate(self, path: tuple[str, ...], table: dict[str, object]) -> Rate | None:
        rate = self._value(path, table, "rate", values.rate, None)
        burst = self._value(path, table, "burst", values.burst, None)
        if "burst" in table and "rate" not in table:
            self._wrong((*path, "burst"), 'limits nothing without a rate: write rate = "10/s" too, or remove it')
        return rate if rate is None or burst is None else replace(rate, burst=burst)

    def _value(
        self, path: tuple[str, ...], table: dict[str, object], key: str, parse: Callable[[object], _T], default: _D
    ) -> _T | _D:
        if key not in table:
            return default
        try:
            return parse(table[key])
        except ValueError as error:
            self._wrong((*path, key), str(error))
            return default

    def _values(
        self, path: tuple[str, ...], table: dict[str, object], key: str, parse: Callable[[object], _T]
    ) -> list[_T]:
        """Parse a value, or each of a list of them."""
        written = table.get(key, [])
        parsed: list[_T] = []
        for value in written if isinstance(written, list) else [written]:
            try:
                parsed.append(parse(value))
            except ValueError as error:
                self._wrong((*path, key), str(error), value)
        return parsed

    def _require_keys(self, path: tuple[str, ...], table: dict[str, object]) -> None:
        self._refuse_unknown_keys(path, table, _CALLER_KEYS)
        if table.keys() - _CALLER_KEYS:
            return  # what is missing may be there, misspelt
        if not any(key in table for key in _IDENTITY):
            self._wrong(path, f"no one can be this caller: give it one of {', '.join(_IDENTITY)}")
        if "allow" not in table:
            self._wrong(path, "may do nothing: write allow = [...] with operations, kinds or presets")

    def _refuse_unknown_keys(self, path: tuple[str, ...], table: dict[str, object], known: frozenset[str]) -> None:
        for key in table.keys() - known:
            hint = f"known are {', '.join(sorted(known))}"
            self._wrong((*path, key), values.unknown_name(key, known, hint))

    def _wrong(self, path: tuple[str, ...], text: str, value: object = None) -> None:
        line = self._lines.line(*path, value=value if isinstance(value, str) else None)
        self._findings.append(Finding(line, ".".join(map(_shown, path)), text))


def _shown(key: str) -> str:
    return key if _BARE_KEY(key) else ascii(key[:40])
