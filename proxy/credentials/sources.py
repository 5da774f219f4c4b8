"""Which source does a setting mean? From its configuration to something that can be read, and read again."""

from __future__ import annotations

from typing import Final, assert_never

from proxy.config import CredentialSource, EnvironmentSource, FilesSource
from proxy.credentials.files import MountedFiles
from proxy.credentials.model import Credentials, CredentialSourceError, Source

__all__ = ["CredentialSourceError", "Given", "Source", "open_source"]


class Given:
    """Credentials that the settings themselves hold."""

    interval: Final = None
    settle: Final = 0.0

    def __init__(self, config: EnvironmentSource) -> None:
        self._credentials = Credentials(config.username, config.password)

    async def load(self) -> Credentials:
        """Return what the settings say."""
        return self._credentials

    def describe(self) -> str:
        """Say that the settings hold them."""
        return "settings"

    def warnings(self) -> tuple[str, ...]:
        """Return nothing: what the settings hold was checked with them."""
        return ()


def open_source(config: CredentialSource) -> Source:
    """Return the source that is configured; nothing is read yet."""
    match config:
        case EnvironmentSource():
            return Given(config)
        case FilesSource():
            return MountedFiles(config)
        case never:
            assert_never(never)
