"""Declares the sources of username and password: a tagged union that proxy.credentials reads.

Nothing here opens anything but to see that a file can be read. No refusal may quote a command line: it can hold a
password.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.config import files
from proxy.config.parsing import refuse
from proxy.config.setting import CERTIFICATES_FILE, ORIGIN, SECRET_FILE, Kind, Setting, declared, optional, setting
from proxy.secret import Secret, secret_text

if TYPE_CHECKING:
    from proxy.config.addresses import Origin

_SERVICE_ACCOUNT_TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path, of Kubernetes' documentation

_SEGMENT: Final = re.compile(r"[A-Za-z0-9 _.@=+,-]+", re.ASCII)
_NAME: Final = re.compile(r"[!#-z|~]+", re.ASCII)  # no quote or brace: a secret's content has those, no name does


def secret(value: object) -> Secret:
    """Read a sealed text, unless nothing could be sent of it."""
    return secret_text(value.reveal()) if isinstance(value, Secret) else refuse("must be a text: put it in quotes")


def argv(value: object) -> tuple[str, ...]:
    """Read a command line as a POSIX shell splits it, or a list of arguments; nothing is expanded."""
    import shutil  # noqa: PLC0415 - it brings three compressors, which nothing here uses

    arguments: tuple[str, ...] = ()
    with contextlib.suppress(ValueError):
        if isinstance(value, Secret):
            arguments = tuple(shlex.split(value.reveal()))
        elif isinstance(value, list) and all(isinstance(argument, str) for argument in value):
            arguments = tuple(value)
    if not arguments or "\0" in "".join(arguments):
        refuse("is no command line: write the command and its arguments, quoted as for a shell")
    if shutil.which(arguments[0]) is None:
        refuse("the command is not there or may not be run: write its whole path (no shell is run, so no $ or | or ~)")
    return arguments


def vault_path(value: object) -> str:
    """Read a path in Vault, without slashes at its ends."""
    segments = value.strip("/").split("/") if isinstance(value, str) else [""]
    if not all(_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments):
        refuse("is no path: write names of letters, digits and _ . - separated by slashes")
    return "/".join(segments)


def name(value: object) -> str:
    """Read a name without white space."""
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        refuse("is no name: write it without white space, in quotes in the settings file")
    return value


def aws_secret(value: object) -> str:
    """Read a secret's name or ARN; refuse it where nothing can read the secret."""
    named = name(value)
    if find_spec("botocore") is None:
        refuse("needs the AWS library: install localpayment-proxy[aws]")
    return named


NAME: Final = Kind("name", name)
VAULT_PATH: Final = Kind("path", vault_path)
COMMAND_LINE: Final = Kind("command line", argv, lambda argv: f"{argv[0]} [redacted]" if argv[1:] else argv[0])
PAIR_FILE: Final = Kind("path", files.checked(lambda path: files.pair_in_text(files.read_file(path).text)))


def _secret_or_file(variable: str, meaning: str, of_file: str, section: str = "") -> tuple[Setting, Setting]:
    """Return the two settings of a secret: itself, or a file that holds it."""
    return (
        Setting(variable, Kind("text", secret), "", meaning, section=section, secret=True),
        Setting(f"{variable}_FILE", SECRET_FILE, "", of_file),
    )


# fmt: off
_USERNAME: Final = _secret_or_file("LOCALPAYMENT_USERNAME", "The account's username.",
    "A file with the username alone.",
    section="Credentials: username and password")
_PASSWORD: Final = _secret_or_file("LOCALPAYMENT_PASSWORD", "The account's password.",
    "A file with the password alone.")


@dataclass(frozen=True, slots=True)
class EnvironmentSource:
    """Both from settings; they never change while the process lives."""

    username: Secret = declared(*_USERNAME)
    password: Secret = declared(*_PASSWORD)


@dataclass(frozen=True, slots=True)
class FilesSource:
    """Either one, or both, from a mounted file that holds nothing else."""

    username: Secret | Path = declared(*_USERNAME)
    password: Secret | Path = declared(*_PASSWORD)


@dataclass(frozen=True, slots=True)
class CredentialsFileSource:
    """One JSON or TOML file with `username` and `password`."""

    path: Path = setting("LOCALPAYMENT_CREDENTIALS_FILE", PAIR_FILE, "",
        "A JSON or TOML file with `username` and `password`.",
        section="Credentials: one file, or a command")


@dataclass(frozen=True, slots=True)
class CommandSource:
    """A command, run without a shell, that writes JSON with `username` and `password` to stdout."""

    argv: tuple[str, ...] = setting("LOCALPAYMENT_CREDENTIALS_COMMAND", COMMAND_LINE, "",
        "A command that writes the same document to stdout within 10 s.", secret=True)


@dataclass(frozen=True, slots=True)
class VaultToken:
    """A ready token, given or in a file that another program keeps fresh."""

    token: Secret | Path = declared(*_secret_or_file("LOCALPAYMENT_VAULT_TOKEN", "A token.",
        "A file with a token, such as the sink of Vault Agent, read each time."))


AUTH_MOUNT: Final = Setting("LOCALPAYMENT_VAULT_AUTH_MOUNT", VAULT_PATH, "",
    "Where the login method is mounted.", note="`approle` or `kubernetes`")


@dataclass(frozen=True, slots=True)
class VaultAppRole:
    """Login with a role id and a secret id; `mount` is the auth method's path."""

    mount: str = declared(AUTH_MOUNT._replace(otherwise="approle"))
    role_id: str = setting("LOCALPAYMENT_VAULT_ROLE_ID", NAME, "",
        "AppRole login: the role id.", needed="write the role id")
    secret_id: Secret | Path = declared(*_secret_or_file("LOCALPAYMENT_VAULT_SECRET_ID",
        "AppRole login: the secret id.", "AppRole login: a file with the secret id."))


@dataclass(frozen=True, slots=True)
class VaultKubernetes:
    """Login with a service account's token; `mount` is the auth method's path."""

    mount: str = declared(AUTH_MOUNT._replace(otherwise="kubernetes"))
    role: str = setting("LOCALPAYMENT_VAULT_ROLE", NAME, "",
        "Kubernetes login: the role.", needed="write the name of the role")
    jwt_file: Path = setting("LOCALPAYMENT_VAULT_JWT_FILE", SECRET_FILE, "",
        "Kubernetes login: the service account's token.", note=f"`{_SERVICE_ACCOUNT_TOKEN}`",
        otherwise=Path(_SERVICE_ACCOUNT_TOKEN))


VaultAuth = VaultToken | VaultAppRole | VaultKubernetes


@dataclass(frozen=True, slots=True)
class VaultSource:
    """A secret of Vault's or OpenBao's KV engine, version 2; `path` is below `mount`."""

    origin: Origin = setting("LOCALPAYMENT_VAULT_ADDR", ORIGIN, "",
        "The server, such as `https://vault.internal:8200`.",
        section="Credentials: HashiCorp Vault or OpenBao",
        needed="write the server's URL, such as https://vault.internal:8200")
    mount: str = setting("LOCALPAYMENT_VAULT_MOUNT", VAULT_PATH, "secret",
        "Where the KV engine, version 2, is mounted.")
    path: str = setting("LOCALPAYMENT_VAULT_PATH", Kind("path in the engine", vault_path), "",
        "The secret with `username` and `password`, without engine and `data/`.",
        needed="write the secret's path, such as localpayment/production")
    namespace: str | None = optional("LOCALPAYMENT_VAULT_NAMESPACE", VAULT_PATH,
        "The namespace.", note="the root namespace")
    ca_file: Path | None = optional("LOCALPAYMENT_VAULT_CA_FILE", CERTIFICATES_FILE,
        "PEM file of the CA certificates to trust.",
        note="the system's CA certificates")
    auth: VaultAuth = declared()


@dataclass(frozen=True, slots=True)
class AwsSource:
    """A secret of AWS Secrets Manager."""

    secret: str = setting("LOCALPAYMENT_AWS_SECRET", Kind("name or ARN", aws_secret), "",
        "The secret, JSON with `username` and `password`. Needs the extra `aws`.",
        section="Credentials: AWS Secrets Manager", needed="write the secret's name or ARN")
    region: str | None = optional("LOCALPAYMENT_AWS_REGION", NAME,
        "The region.", note="the ARN's, or AWS's configuration")
    endpoint: Origin | None = optional("LOCALPAYMENT_AWS_ENDPOINT", ORIGIN,
        "Another endpoint, such as a VPC's.", note="AWS's endpoint")
# fmt: on


Choices = Mapping[type[Any], tuple[type[Any], ...]]
CredentialSource = EnvironmentSource | FilesSource | CredentialsFileSource | CommandSource | VaultSource | AwsSource
# In the order of the documentation, each with what else it can be made of.
LOGINS: Final[Choices] = dict.fromkeys((VaultToken, VaultAppRole, VaultKubernetes), ())
SOURCES: Final[Choices] = {
    **dict.fromkeys((FilesSource, CredentialsFileSource, CommandSource), ()), VaultSource: (*LOGINS,), AwsSource: (),
}  # fmt: skip
