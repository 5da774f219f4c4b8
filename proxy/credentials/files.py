"""Reads the credentials from mounted files, and warns when other users can read them.

Both files are read as one: a new username never goes with an old password.
"""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.config.files import UnusableContentError, pair_in_text, read_file, read_secret
from proxy.credentials.model import Credentials, CredentialSourceError, Source
from proxy.secret import Secret

if TYPE_CHECKING:
    from proxy.config import CredentialsFileSource, FilesSource
    from proxy.config.files import FileText

FILE_INTERVAL: Final = 5.0  # seconds; reading two small files takes well under a millisecond
FILE_CONFIRM_AFTER: Final = 1.0  # seconds; a script that replaces one file after the other is done by then
_TRIES: Final = 5

# Mounts that only the container sees, whatever the mode says: Kubernetes' volumes, where files are links through
# `..data` to files of mode 0644, and the 0444 files of Docker and Podman below /run/secrets.
_KUBERNETES_DATA: Final = "..data"
_CONTAINER_SECRETS: Final = (Path("/run/secrets"), Path("/var/run/secrets"))


class MountedFiles(Source):
    """Username and password, each in a file of its own; one of the two may come from settings."""

    confirm_after = FILE_CONFIRM_AFTER

    def __init__(self, config: FilesSource, interval: float | None = None) -> None:
        self.interval = FILE_INTERVAL if interval is None else interval
        self._config = config
        self._warnings: tuple[str, ...] = ()

    async def load(self) -> Credentials:
        """Read both files, off the event loop: a network volume may hang."""
        return await asyncio.to_thread(self._read)

    def describe(self) -> str:
        """Name the files."""
        parts = (("username", self._config.username), ("password", self._config.password))
        return ", ".join(f"{name} from {'settings' if isinstance(at, Secret) else at}" for name, at in parts)

    def warnings(self) -> tuple[str, ...]:
        """Name files that every user of the machine may read."""
        return self._warnings

    def _read(self) -> Credentials:
        """Read until two readings in a row agree: the files may be replaced between one and the other."""
        before, after = None, self._read_once()
        for _ in range(_TRIES):
            if before == after:
                return after
            before, after = after, self._read_once()
        message = f"{self.describe()}: changed while being read; replace the files at once and leave them"
        raise CredentialSourceError(message)

    def _read_once(self) -> Credentials:
        warnings: list[str] = []
        username = _value(self._config.username, warnings)
        password = _value(self._config.password, warnings)
        self._warnings = tuple(warnings)
        return Credentials(username, password)


class MountedDocument(Source):
    """Username and password in one JSON or TOML file."""

    confirm_after = FILE_CONFIRM_AFTER

    def __init__(self, config: CredentialsFileSource, interval: float | None = None) -> None:
        self.interval = FILE_INTERVAL if interval is None else interval
        self._path = config.path
        self._warnings: tuple[str, ...] = ()

    async def load(self) -> Credentials:
        """Read the file, off the event loop."""
        return await asyncio.to_thread(self._read)

    def describe(self) -> str:
        """Name the file."""
        return f"file {self._path}"

    def warnings(self) -> tuple[str, ...]:
        """Say that every user of the machine may read it, if so."""
        return self._warnings

    def _read(self) -> Credentials:
        try:
            file = read_file(self._path)
            credentials = Credentials(*pair_in_text(file.text))
        except UnusableContentError as error:
            message = f"{self._path}: {error}"
            raise CredentialSourceError(message) from None
        self._warnings = exposure(self._path, file)
        return credentials


def _value(place: Secret | Path, warnings: list[str]) -> Secret:
    if isinstance(place, Secret):
        return place
    try:
        file = read_secret(place)
    except UnusableContentError as error:
        message = f"{place}: {error}"
        raise CredentialSourceError(message) from None
    warnings += exposure(place, file)
    return file.text


def exposure(path: Path, file: FileText) -> tuple[str, ...]:
    """Say that a file may be read by every user of the machine, or nothing.

    A group that may read it is no finding (root's file, our group), nor is a mount of the container's own.
    """
    if not file.mode & stat.S_IROTH or _is_container_mount(path):
        return ()
    return (f"{path} may be read by every user of this machine: chmod o-rwx {path}",)


def _is_container_mount(path: Path) -> bool:
    if any(path.is_relative_to(mount) for mount in _CONTAINER_SECRETS):
        return True
    try:
        return _KUBERNETES_DATA in path.readlink().parts
    except OSError:  # it is no link
        return False
