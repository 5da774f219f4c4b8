"""Which one source of credentials do the settings name? None, two, or half of one are mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config.credential_sources import CredentialSource, EnvironmentSource, FilesSource
from proxy.config.settings import Problem
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.config.fields import Fields

USERNAME = "LOCALPAYMENT_USERNAME"
PASSWORD = "LOCALPAYMENT_PASSWORD"  # noqa: S105 - a variable's name
USERNAME_FILE, PASSWORD_FILE = f"{USERNAME}_FILE", f"{PASSWORD}_FILE"


def source_problems(written: frozenset[str]) -> Iterator[Problem]:
    """Whether exactly one source is named, and the whole of it.

    Args:
        written: the variables that are set, be it right or wrong.
    """
    if not written & {USERNAME, USERNAME_FILE, PASSWORD, PASSWORD_FILE}:
        text = f"no credentials: set {USERNAME} and {PASSWORD}, or {USERNAME_FILE} and {PASSWORD_FILE}"
        yield Problem(USERNAME, None, text)
        return
    for plain, file in ((USERNAME, USERNAME_FILE), (PASSWORD, PASSWORD_FILE)):
        if not written & {plain, file}:
            yield Problem(plain, None, f"missing: set {plain} or {file}")
        elif written >= {plain, file}:
            yield Problem(file, None, f"{plain} is set too: remove one of the two")


def chosen_source(fields: Fields) -> CredentialSource:
    """Return the source that settings without a problem name."""
    username = fields.localpayment_username or fields.localpayment_username_file
    password = fields.localpayment_password or fields.localpayment_password_file
    match username, password:
        case Secret(), Secret():
            return EnvironmentSource(username, password)
        case Secret() | Path(), Secret() | Path():
            return FilesSource(username, password)
        case _:
            message = "source_problems has let through settings without credentials"
            raise RuntimeError(message)
