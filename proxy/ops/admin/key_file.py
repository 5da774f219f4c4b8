"""Reads a key from a file, and refuses one that could be guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.config.files import UnusableContentError, UnusableSettingError, read_secret
from proxy.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

KEY_LENGTH: Final = 16  # characters; fewer can be tried out
_ADMIN: Final = "PROXY_ADMIN_KEY_FILE"


class KeyFileError(UnusableSettingError):
    """A key cannot be used."""


def read_key(path: Path, setting: str) -> Secret:
    """Read a key; white space around it is not part of it. Blocks.

    Args:
        path: the file.
        setting: name of the setting that says so, for the error.

    Raises:
        KeyFileError: it cannot be read, or is too short to protect anything.
    """
    try:
        text = read_secret(path).text.reveal().strip()
    except UnusableContentError as error:
        raise KeyFileError(setting, path, str(error)) from None
    if len(text) < KEY_LENGTH:
        fix = f"the key has less than {KEY_LENGTH} characters: make one with `openssl rand -hex 32`"
        raise KeyFileError(setting, path, fix)
    return Secret(text)


def admin_key(path: Path) -> Secret:
    """Read the key that commands must carry. Blocks.

    Raises:
        KeyFileError: as `read_key` does, and when no field of a request can carry it.
    """
    key = read_key(path, _ADMIN)
    if not key.reveal().isprintable():
        raise KeyFileError(_ADMIN, path, "the key has more than one line, or a control character: leave one line")
    return key
