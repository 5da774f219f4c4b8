"""Environment, files → one frozen Settings, or all mistakes together.

Importing this package loads no pydantic; only calling `load_settings` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.addresses import Collector, EgressProxy, Listen, Origin, TcpAddress, UnixAddress
from proxy.config.credential_sources import (
    AwsSource,
    CommandSource,
    CredentialsFileSource,
    CredentialSource,
    EnvironmentSource,
    FilesSource,
    VaultAppRole,
    VaultKubernetes,
    VaultSource,
    VaultToken,
)
from proxy.config.settings import Environment, Problem, Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AwsSource",
    "Collector",
    "CommandSource",
    "CredentialSource",
    "CredentialsFileSource",
    "EgressProxy",
    "Environment",
    "EnvironmentSource",
    "FilesSource",
    "Listen",
    "Origin",
    "Problem",
    "Settings",
    "SettingsError",
    "TcpAddress",
    "UnixAddress",
    "VaultAppRole",
    "VaultKubernetes",
    "VaultSource",
    "VaultToken",
    "load_settings",
]


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables and from the files they name.

    Raises:
        SettingsError: something is wrong; it names every mistake there is.
    """
    from proxy.config.loader import load  # noqa: PLC0415 - pydantic costs 0.2 s and is needed by this call alone

    return load(environ)
