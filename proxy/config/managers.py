"""What do the settings of secret managers and commands mean? Names, paths, command lines; each refusal says the fix.

Pure but for one look each at what is installed. No refusal may quote a command line: it can hold a password.
"""

from __future__ import annotations

import re
import shlex
import shutil
from importlib.util import find_spec

from proxy.secret import Secret

_SEGMENT = re.compile(r"[A-Za-z0-9 _.@=+,-]+", re.ASCII)
_NAME = re.compile(r"[!#-z|~]+", re.ASCII)  # no quote or brace: a secret's content has those, no name does


def argv(value: object) -> tuple[str, ...]:
    """Read a command line as a POSIX shell splits it, or a list of arguments; nothing is expanded.

    Raises:
        ValueError: it is none, or the command is not installed.
    """
    match value:
        case Secret():
            arguments = _split(value.reveal())
        case list() if all(isinstance(argument, str) for argument in value):
            arguments = tuple(value)
        case _:
            arguments = ()
    if not arguments or "\0" in "".join(arguments):
        message = "is no command line: write the command and its arguments, quoted as for a shell"
        raise ValueError(message)
    if shutil.which(arguments[0]) is None:
        message = (
            "the command is not there or may not be run: write its whole path (no shell is run, so no $ or | or ~)"
        )
        raise ValueError(message)
    return arguments


def _split(line: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(line))
    except ValueError:
        return ()


def vault_path(value: object) -> str:
    """Read a path in Vault, without slashes at its ends.

    Raises:
        ValueError: it is none.
    """
    segments = value.strip("/").split("/") if isinstance(value, str) else [""]
    if not all(_SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments):
        message = "is no path: write names of letters, digits and _ . - separated by slashes"
        raise ValueError(message)
    return "/".join(segments)


def name(value: object) -> str:
    """Read a name without white space.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        message = "is no name: write it without white space, in quotes in the settings file"
        raise ValueError(message)
    return value


def aws_secret(value: object) -> str:
    """Read a secret's name or ARN.

    Raises:
        ValueError: it is none, or what reads it is not installed.
    """
    secret = name(value)
    if find_spec("botocore") is None:
        message = "needs the AWS library: install localpayment-proxy[aws]"
        raise ValueError(message)
    return secret
