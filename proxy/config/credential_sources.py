"""Where may username and password come from? A tagged union, read by proxy.credentials; nothing here opens anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.config.addresses import Origin
    from proxy.secret import Secret


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    """Both from settings; they never change while the process lives."""

    username: Secret
    password: Secret


@dataclass(frozen=True, slots=True)
class FilesSource:
    """Either one, or both, from a mounted file that holds nothing else."""

    username: Secret | Path
    password: Secret | Path


@dataclass(frozen=True, slots=True)
class CredentialsFileSource:
    """One JSON or TOML file with `username` and `password`."""

    path: Path


@dataclass(frozen=True, slots=True)
class CommandSource:
    """A command, run without a shell, that writes JSON with `username` and `password` to stdout."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VaultToken:
    """A ready token, given or in a file that somebody else keeps fresh."""

    token: Secret | Path


@dataclass(frozen=True, slots=True)
class VaultAppRole:
    """Login with a role id and a secret id; `mount` is the auth method's path."""

    mount: str
    role_id: str
    secret_id: Secret | Path


@dataclass(frozen=True, slots=True)
class VaultKubernetes:
    """Login with a service account's token; `mount` is the auth method's path."""

    mount: str
    role: str
    jwt_file: Path


VaultAuth = VaultToken | VaultAppRole | VaultKubernetes


@dataclass(frozen=True, slots=True)
class VaultSource:
    """A secret of Vault's or OpenBao's KV engine, version 2.

    Attributes:
        origin: the server.
        mount: the engine's path, such as `secret`.
        path: the secret's path below it.
        namespace: for Vault Enterprise, HCP and OpenBao; None is the root.
        ca_file: PEM file of the CA certificates that stand in for the system's.
        auth: how to log in.
    """

    origin: Origin
    mount: str
    path: str
    namespace: str | None
    ca_file: Path | None
    auth: VaultAuth


@dataclass(frozen=True, slots=True)
class AwsSource:
    """A secret of AWS Secrets Manager.

    Attributes:
        secret: name or ARN.
        region: None leaves it to the AWS configuration of the process.
        endpoint: None is AWS's own.
    """

    secret: str
    region: str | None
    endpoint: Origin | None


CredentialSource = EnvironmentSource | FilesSource | CredentialsFileSource | CommandSource | VaultSource | AwsSource
