"""Do the settings name exactly one source of credentials, and the whole of it? Pure: names alone decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.config import account_settings as account
from proxy.config.settings import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Names = tuple[str, ...]

USERNAME = "LOCALPAYMENT_USERNAME"
PASSWORD = "LOCALPAYMENT_PASSWORD"  # noqa: S105 - a variable's name
USERNAME_FILE, PASSWORD_FILE = f"{USERNAME}_FILE", f"{PASSWORD}_FILE"
DOCUMENT, COMMAND = "LOCALPAYMENT_CREDENTIALS_FILE", "LOCALPAYMENT_CREDENTIALS_COMMAND"
VAULT, AWS = "LOCALPAYMENT_VAULT_ADDR", "LOCALPAYMENT_AWS_SECRET"
TOKEN, TOKEN_FILE = "LOCALPAYMENT_VAULT_TOKEN", "LOCALPAYMENT_VAULT_TOKEN_FILE"
ROLE_ID, SECRET_ID, SECRET_ID_FILE = (f"LOCALPAYMENT_VAULT_{end}" for end in ("ROLE_ID", "SECRET_ID", "SECRET_ID_FILE"))
ROLE, JWT_FILE, AUTH_MOUNT = (f"LOCALPAYMENT_VAULT_{end}" for end in ("ROLE", "JWT_FILE", "AUTH_MOUNT"))

_PAIR: Final = (USERNAME, USERNAME_FILE, PASSWORD, PASSWORD_FILE)
_VAULT: Final = tuple(setting.variable for setting in account.VAULT.settings)
_AWS: Final = tuple(setting.variable for setting in account.AWS.settings)
_SOURCES: Final[tuple[Names, ...]] = (_PAIR, (DOCUMENT,), (COMMAND,), _VAULT, _AWS)
_LOGINS: Final[tuple[Names, ...]] = ((TOKEN, TOKEN_FILE), (ROLE_ID, SECRET_ID, SECRET_ID_FILE), (ROLE, JWT_FILE))


def source_problems(written: frozenset[str]) -> Iterator[Problem]:
    """Say what is missing and what is too much.

    Args:
        written: the variables that are set, be it right or wrong.
    """
    named = _set_among(_SOURCES, written)
    if not named:
        text = (
            f"no credentials: set {USERNAME} and {PASSWORD}, or their _FILE forms, or another source: "
            f"{DOCUMENT}, {COMMAND}, {VAULT} or {AWS}"
        )
        yield Problem(USERNAME, None, text)
    elif len(named) > 1:
        yield from _too_many(named, "credentials come from one source only: remove one of the two")
    elif named[0][0] in _PAIR:
        yield from _one_of(USERNAME, USERNAME_FILE, written)
        yield from _one_of(PASSWORD, PASSWORD_FILE, written)
    elif named[0][0] in _VAULT:
        yield from _vault_problems(written)
    elif named[0][0] in _AWS:
        yield from _required(written, (AWS, "write the secret's name or ARN"))


def _vault_problems(written: frozenset[str]) -> Iterator[Problem]:
    yield from _required(
        written,
        (VAULT, "write the server's URL, such as https://vault.internal:8200"),
        ("LOCALPAYMENT_VAULT_PATH", "write the secret's path, such as localpayment/production"),
    )
    logins = _set_among(_LOGINS, written)
    if not logins:
        text = f"no login: set {TOKEN} or {TOKEN_FILE}, or {ROLE_ID} with {SECRET_ID} or its _FILE form, or {ROLE}"
        yield Problem(TOKEN, None, text)
    elif len(logins) > 1:
        yield from _too_many(logins, "there is one login only: remove one of the two")
    elif logins[0][0] in {TOKEN, TOKEN_FILE}:
        yield from _one_of(TOKEN, TOKEN_FILE, written)
        if AUTH_MOUNT in written:
            yield Problem(AUTH_MOUNT, None, "a token needs no login: remove it")
    elif logins[0][0] in {ROLE, JWT_FILE}:
        yield from _required(written, (ROLE, "write the name of the role"))
    else:
        yield from _required(written, (ROLE_ID, "write the role id"))
        yield from _one_of(SECRET_ID, SECRET_ID_FILE, written)


def _set_among(groups: Sequence[Names], written: frozenset[str]) -> list[Names]:
    """Return of each group that is set at all, the names that are."""
    found = (tuple(name for name in group if name in written) for group in groups)
    return [names for names in found if names]


def _too_many(groups: Sequence[Names], fix: str) -> Iterator[Problem]:
    for group in groups[1:]:
        yield Problem(group[0], None, f"{groups[0][0]} is set too, and {fix}")


def _required(written: frozenset[str], *wanted: tuple[str, str]) -> Iterator[Problem]:
    for variable, fix in wanted:
        if variable not in written:
            yield Problem(variable, None, f"missing: {fix}")


def _one_of(plain: str, file: str, written: frozenset[str]) -> Iterator[Problem]:
    if not written & {plain, file}:
        yield Problem(plain, None, f"missing: set {plain} or {file}")
    elif written >= {plain, file}:
        yield Problem(file, None, f"{plain} is set too: remove one of the two")
