"""What has the operator written, and where? Environment variables and a TOML file, with secrets sealed on the way in.

Nothing is judged here but names and the file's form; no value of an unknown name, and no line of the file, is shown.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config.catalogue import PREFIXES, SETTINGS, is_service_link, near_miss
from proxy.config.files import UnusableFileError, read_file
from proxy.config.settings import Problem
from proxy.config.sidecar_settings import CONFIG_FILE
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOML_PLACE = re.compile(r"at line (\d+), column (\d+)")
# A URL that breaks off after what is a user and a password, or a host and no port.
_CUT_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*://[^/:\[\]]*):(?!\d{1,5}(?:[/?#]|$)).", re.IGNORECASE | re.DOTALL)
_OPEN_FILES = ("_CA_FILE", "_CERT_FILE", "_POLICY_FILE")  # hold nothing that is secret
_SHOWN = 80  # characters of a value in a message


@dataclass(slots=True)
class Written:
    """Settings as written, and the mistakes found on the way.

    Attributes:
        environment, file: variable → value, as written; secrets are Secrets already.
        problems: the mistakes found.
        reported: variables that need no second line.
        meant: variables that a misspelt name stands for.
        complete: whether everything that may hold settings could be read.
    """

    environment: dict[str, object] = field(default_factory=dict)
    file: dict[str, object] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    meant: set[str] = field(default_factory=set)
    complete: bool = True

    @property
    def variables(self) -> frozenset[str]:
        """What is set, or was meant to be."""
        return frozenset(self.environment) | frozenset(self.file) | self.reported

    def report(self, variable: str, text: str) -> None:
        """Note that a value is wrong; a second line about its variable would only be noise."""
        from_file = variable not in self.environment
        value = (self.file if from_file else self.environment)[variable]
        shown = None if SETTINGS[variable].secret or _may_be_content(variable, value) else fit(str(value))
        self.problems.append(Problem(variable, shown, f"{text} (set in the settings file)" if from_file else text))
        self.reported.add(variable)


def read(environ: Mapping[str, str]) -> Written:
    """Read the environment, and the TOML file that it names."""
    written = Written()
    _read_environment(environ, written)
    _read_config_file(written)
    written.reported |= written.meant - written.variables
    return written


def _read_environment(environ: Mapping[str, str], written: Written) -> None:
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIXES) or not value or is_service_link(variable, value):
            continue
        if variable in SETTINGS:
            written.environment[variable] = _sealed(variable, value)
        else:
            _unknown(variable, fit(variable), written)


def _read_config_file(written: Written) -> None:
    """Read the TOML file, if one is named; when it cannot be read, nothing can be called missing."""
    named = written.environment.pop(CONFIG_FILE, None)
    if not isinstance(named, str):
        return
    try:
        table = tomllib.loads(read_file(Path(named)).text.reveal())
    except UnusableFileError as error:
        text = str(error)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = _TOML_PLACE.search(str(error))
        where = f"line {place[1]}, column {place[2]}" if place else "its end"
        text = f'is not TOML at {where}: write key = "value", one a line, texts in quotes'
    else:
        _take_table(table, named, written)
        return
    written.problems.append(Problem(CONFIG_FILE, fit(named), text))
    written.complete = False


def _take_table(table: dict[str, object], path: str, written: Written) -> None:
    for key, value in table.items():
        variable = key.upper()
        if variable == CONFIG_FILE:
            text = f"cannot be set in the file itself: remove it from {path}"
            written.problems.append(Problem(CONFIG_FILE, None, text))
        elif key == key.lower() and variable in SETTINGS:
            if value != "":
                written.file[variable] = _sealed(variable, value)
        else:
            _unknown(key, f"{fit(key)} (in {path})", written)


def _unknown(name: str, shown: str, written: Written) -> None:
    meant = near_miss(name)
    if meant is None:
        text = "unknown setting: remove it; docs/settings.md lists all of them"
    else:
        spelt = meant if name == name.upper() else meant.lower()
        text = f"unknown setting: did you mean {spelt}?"
        written.meant.add(meant)
    written.problems.append(Problem(shown, None, text))


def _sealed(variable: str, value: object) -> object:
    """Make a Secret of what must not be shown, before anything else sees it."""
    return Secret(value) if SETTINGS[variable].secret and isinstance(value, str) else value


def _may_be_content(variable: str, value: object) -> bool:
    """Whether what should name a secret may be the secret itself, which one writes there by mistake."""
    text = str(value)
    if variable.endswith("_FILE") and not variable.endswith(_OPEN_FILES):
        return not text.startswith(("/", "./", "../", "~/"))
    return text.lstrip().startswith("{")


def fit(value: str) -> str:
    """Return a value for one line of a message: without a URL's userinfo and query, printable, and short."""
    head, at, rest = value.rpartition("@")
    if not at and (cut := _CUT_USERINFO.match(value)):
        value = f"{cut[1]}:[redacted]"
    if at:
        value = f"{head.partition('://')[0]}://[redacted]@{rest}" if "://" in head else f"[redacted]@{rest}"
    value = re.sub(r"[?#].*", "?[redacted]", value, flags=re.DOTALL) if "://" in value else value
    value = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in value)
    return value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
