"""Reads environment variables and files into one frozen Settings, or tells all mistakes together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.addresses import EgressProxy, Listen, Origin, TcpAddress, UnixAddress
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
from proxy.config.ledger_place import LedgerDatabase, LedgerFile
from proxy.config.settings import Environment, Problem, Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AwsSource",
    "CommandSource",
    "CredentialSource",
    "CredentialsFileSource",
    "EgressProxy",
    "Environment",
    "EnvironmentSource",
    "FilesSource",
    "LedgerDatabase",
    "LedgerFile",
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
    from proxy.config.loader import load  # noqa: PLC0415 - a probe every few seconds reads none

    return load(environ)
