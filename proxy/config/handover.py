"""How do settings cross from the process that reads them to the one that serves? As JSON, through a pipe of theirs.

The only place where a Secret is written out. It refuses to be pickled, so that no library and no careless line can put
it anywhere; here it is meant, in a module that does nothing else. What `written` returns must go nowhere but into a
pipe whose both ends this program holds. What `read` makes is values of the types below and no others, whatever it is
given: a pickle could call anything.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.config import (
    AwsSource,
    Collector,
    CommandSource,
    CredentialsFileSource,
    EgressProxy,
    Environment,
    EnvironmentSource,
    FilesSource,
    Origin,
    Problem,
    Settings,
    TcpAddress,
    UnixAddress,
    VaultAppRole,
    VaultKubernetes,
    VaultSource,
    VaultToken,
)
from proxy.config.required_header import RequiredHeader
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    Outcome = Settings | tuple[Problem, ...]

RECORDS: Final = (
    AwsSource, Collector, CommandSource, CredentialsFileSource, EgressProxy, EnvironmentSource, FilesSource, Origin,
    Problem, RequiredHeader, Settings, TcpAddress, UnixAddress, VaultAppRole, VaultKubernetes, VaultSource, VaultToken,
)  # fmt: skip
_MAKERS: Final[dict[str, Callable[..., object]]] = {
    **{record.__name__: record for record in RECORDS},
    "Environment": Environment,
    "Path": Path,
    "Secret": Secret,
    "frozenset": lambda *members: frozenset(members),
    "tuple": lambda *members: members,
}


class NotHandedOverError(ValueError):
    """What came is not what `written` writes, such as a part of it; its text quotes nothing."""


def written(outcome: Outcome) -> bytes:
    """Write settings, or what is wrong with them, their secrets in clear.

    Raises:
        TypeError: a value is of a type that this module does not know.
    """
    return json.dumps(_encoded(outcome)).encode("ascii")


def read(content: bytes) -> Outcome:
    """Return what was written.

    Raises:
        NotHandedOverError: it is not whole.
    """
    outcome = None
    with suppress(ValueError, TypeError, KeyError):  # their texts may quote the content, so nothing is chained to them
        outcome = _decoded(json.loads(content))
    if not isinstance(outcome, Settings | tuple):
        message = "these are no settings"
        raise NotHandedOverError(message)
    return outcome


def _encoded(value: object) -> object:
    """Make a list of a value's type and its parts, but for what JSON has itself."""
    match value:
        case Environment():
            return ["Environment", value.value]
        case None | bool() | int() | float() | str():
            return value
        case Secret():
            return ["Secret", value.reveal()]
        case Path():
            return ["Path", str(value)]
        case frozenset() | tuple():
            return [type(value).__name__, *map(_encoded, value)]
        case _ if isinstance(value, RECORDS):
            return [type(value).__name__, *(_encoded(getattr(value, field.name)) for field in fields(value))]
        case _:
            message = f"handover knows no {type(value).__qualname__}"
            raise TypeError(message)


def _decoded(value: object) -> object:
    if not isinstance(value, list):
        return value
    kind, *parts = value
    return _MAKERS[kind](*map(_decoded, parts))
