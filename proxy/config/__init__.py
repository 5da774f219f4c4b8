"""Reads environment variables and files into one frozen Settings, or tells all mistakes together."""

from __future__ import annotations

from proxy.config.addresses import Collector, EgressProxy, Listen, Origin, RequiredHeader, TcpAddress, UnixAddress
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
from proxy.config.loader import load_settings
from proxy.config.settings import Environment, Problem, Settings, SettingsError

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
    "RequiredHeader",
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
