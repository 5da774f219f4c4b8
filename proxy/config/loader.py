"""Reads the settings: environment variables and a TOML file → Settings, or every mistake at once.

Secrets are sealed before anything else sees them. No value of an unknown name, no line of the file, and no exception
that holds what an operator wrote as a secret leaves here.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.config.consistency import RULES, logins_in, presence_problems, sources_in
from proxy.config.credential_sources import CredentialSource, EnvironmentSource, FilesSource
from proxy.config.declared_settings import (
    CONFIG_FILE,
    FORMERLY,
    PREFIXES,
    SECRETS,
    SETTINGS,
    fit,
    is_service_link,
    may_be_content,
    near_miss,
)
from proxy.config.files import UnusableContentError, read_file
from proxy.config.setting import Setting, settings_of
from proxy.config.settings import Problem, Settings, SettingsError
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Values = Mapping[str, Any]  # variable → value, None where nothing holds

_TOML_PLACE: Final = re.compile(r"at line (\d+), column (\d+)")
_LEDGER: Final = "PROXY_LEDGER"


@dataclass(slots=True)
class _Reading:
    """What the operator has written, and the mistakes found so far.

    Attributes:
        written: variable → value, as written; secrets are Secrets already.
        from_file: variables whose value stands in the TOML file.
        former: variables that are written by an old name, which is the value.
        problems: the mistakes found.
        reported: variables that need no second line.
        meant: variables that a misspelt name stands for.
        warnings: what is accepted in this release alone.
        complete: whether everything that may hold settings could be read.
    """

    written: dict[str, object] = field(default_factory=dict)
    from_file: set[str] = field(default_factory=set)
    former: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    meant: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    complete: bool = True

    @property
    def variables(self) -> frozenset[str]:
        """What is set, or was meant to be."""
        return frozenset(self.written) | self.meant

    def refuse_value(self, variable: str, text: str) -> None:
        """Note that a value is wrong; a second line about its variable would only be noise."""
        value = self.written[variable]
        shown = None if variable in SECRETS or may_be_content(variable, value) else fit(str(value))
        text += " (set in the settings file)" if variable in self.from_file else ""
        self.problems.append(Problem(self.former.get(variable, variable), shown, text))
        self.reported.add(variable)


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings, as `proxy.config.load_settings` says."""
    reading = _Reading()
    _read_environment(environ, reading)
    _read_config_file(reading)
    _take_former_names(reading)
    _take_state_directory(environ, reading)
    values = {variable: _value(setting, reading) for variable, setting in SETTINGS.items()}
    _judge_together(values, reading)
    if reading.problems:
        raise SettingsError(_in_order(reading.problems))
    parts = {"credentials": _source(values, reading.variables), "warnings": tuple(reading.warnings)}
    settings: Settings = _made(Settings, values, **parts)
    return settings


def _read_environment(environ: Mapping[str, str], reading: _Reading) -> None:
    for variable, value in sorted(environ.items()):
        if not variable.startswith(PREFIXES) or not value or is_service_link(variable, value):
            continue
        if variable in SETTINGS or variable in FORMERLY:
            reading.written[variable] = _sealed(variable, value)
        else:
            _refuse_unknown(variable, fit(variable), str.upper, reading)


def _read_config_file(reading: _Reading) -> None:
    """Read the TOML file, if one is named; when it cannot be read, nothing can be called missing."""
    path = reading.written.pop(CONFIG_FILE, None)
    if not isinstance(path, str):
        return
    try:
        table = tomllib.loads(read_file(Path(path)).text.reveal())
    except UnusableContentError as error:
        text = str(error)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = _TOML_PLACE.search(str(error))
        where = f"line {place[1]}, column {place[2]}" if place else "its end"
        text = f'is not TOML at {where}: write key = "value", one a line, texts in quotes'
    else:
        _take_table(table, path, reading)
        return
    reading.problems.append(Problem(CONFIG_FILE, fit(path), text))
    reading.complete = False


def _take_table(table: dict[str, object], path: str, reading: _Reading) -> None:
    for key, value in table.items():
        variable = key.upper()
        if variable == CONFIG_FILE:
            text = f"cannot be set in the file itself: remove it from {path}"
            reading.problems.append(Problem(CONFIG_FILE, None, text))
        elif key != key.lower() or (variable not in SETTINGS and variable not in FORMERLY):
            _refuse_unknown(key, f"{fit(key)} (in {path})", str.lower, reading)
        elif value != "" and variable not in reading.written:  # the environment wins
            reading.written[variable] = _sealed(variable, value)
            reading.from_file.add(variable)


def _refuse_unknown(name: str, shown: str, case: Callable[[str], str], reading: _Reading) -> None:
    meant = near_miss(name)
    if meant is None:
        text = "unknown setting: remove it; docs/settings.md lists all of them"
    else:
        text = f"unknown setting: did you mean {case(meant)}?"
        reading.meant.add(meant)
    reading.problems.append(Problem(shown, None, text))


def _take_former_names(reading: _Reading) -> None:
    for former, variable in FORMERLY.items():
        if former not in reading.written:
            continue
        value = reading.written.pop(former)
        if variable in reading.written:
            text = f"is the old name of {variable}, which is set too: remove {former}"
            reading.problems.append(Problem(former, None, text))
            continue
        reading.written[variable], reading.former[variable] = value, former
        reading.from_file |= {variable} if former in reading.from_file else set()
        reading.warnings.append(f"{former} is now called {variable}: rename it, the next release refuses the old name")


def _take_state_directory(environ: Mapping[str, str], reading: _Reading) -> None:
    """Keep the ledger where systemd gives the process a folder (systemd.exec(5), $STATE_DIRECTORY)."""
    folder = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if folder and _LEDGER not in reading.variables:
        reading.written[_LEDGER] = Secret(f"sqlite:{folder}/ledger.db")


def _value(setting: Setting, reading: _Reading) -> Any:  # noqa: ANN401 - of the setting's kind
    """Read one setting; one that cannot be read is reported, and treated as not set."""
    if setting.variable in reading.written:
        try:
            return setting.kind.read(reading.written[setting.variable])
        except ValueError as error:
            reading.refuse_value(setting.variable, str(error))
    return setting.kind.read(setting.default) if setting.default else None


def _judge_together(values: Values, reading: _Reading) -> None:
    silent = reading.reported | (reading.meant - reading.written.keys())
    found: list[Problem] = list(presence_problems(reading.variables))
    for rule, variables in RULES:
        if not silent & set(variables):
            found += rule(*(values[variable] for variable in variables))
    # What is missing may stand in a settings file that could not be read.
    reading.problems += [one for one in found if reading.complete or one.variable in reading.variables]


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Sort as the documentation does, unknown names last."""
    order = {variable: place for place, variable in enumerate(SETTINGS)}
    order |= {former: order[variable] for former, variable in FORMERLY.items()}
    return tuple(sorted(problems, key=lambda problem: order.get(problem.variable, len(order))))


def _source(values: Values, written: frozenset[str]) -> CredentialSource:
    """Make the one source that `presence_problems` has let through."""
    (source,) = sources_in(written)
    login = next(iter(logins_in(written)), None)
    made: CredentialSource = _made(source, values, **({} if login is None else {"auth": _made(login, values)}))
    if isinstance(made, FilesSource) and isinstance(made.username, Secret) and isinstance(made.password, Secret):
        return EnvironmentSource(made.username, made.password)
    return made


def _made(declaring: type[Any], values: Values, **parts: object) -> Any:  # noqa: ANN401 - an instance of the class
    """Make what declares settings: a field with several takes the one that is set; one with none is given."""
    for each in fields(declaring):
        if settings := settings_of(each):
            found = (values[setting.variable] for setting in settings)
            parts[each.name] = next((value for value in found if value is not None), settings[0].otherwise)
    return declaring(**parts)


def _sealed(variable: str, value: object) -> object:
    """Make a Secret of what must not be shown, before anything else sees it."""
    return Secret(value) if variable in SECRETS and isinstance(value, str) else value
