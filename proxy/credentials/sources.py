"""Makes the configured source of the credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from proxy.clock import SystemClock
from proxy.config import (
    AwsSource,
    CommandSource,
    CredentialsFileSource,
    CredentialSource,
    EnvironmentSource,
    FilesSource,
    VaultSource,
)
from proxy.credentials.aws import SecretsManager
from proxy.credentials.command import Command
from proxy.credentials.files import MountedDocument, MountedFiles
from proxy.credentials.model import Credentials, CredentialSourceError, Source
from proxy.credentials.vault import Vault

if TYPE_CHECKING:
    from proxy.clock import Clock

__all__ = ["CredentialSourceError", "SettingsCredentials", "Source", "open_source"]


class SettingsCredentials(Source):
    """Credentials that the settings themselves hold."""

    def __init__(self, config: EnvironmentSource) -> None:
        self._credentials = Credentials(config.username, config.password)

    async def load(self) -> Credentials:
        """Return what the settings say."""
        return self._credentials

    def describe(self) -> str:
        """Say that the settings hold them."""
        return "settings"


def open_source(config: CredentialSource, interval: float | None = None, clock: Clock | None = None) -> Source:
    """Return the source that is configured; nothing is read yet, and nothing has to be closed.

    Args:
        config: what to read.
        interval: seconds between two looks, or None for the source's own.
        clock: by which a login's life is counted; None is the system's.
    """
    match config:
        case EnvironmentSource():
            return SettingsCredentials(config)
        case FilesSource():
            return MountedFiles(config, interval)
        case CredentialsFileSource():
            return MountedDocument(config, interval)
        case CommandSource():
            return Command(config, interval)
        case VaultSource():
            return Vault(config, clock or SystemClock(), interval)
        case AwsSource():
            return SecretsManager(config, interval)
        case never:
            assert_never(never)
