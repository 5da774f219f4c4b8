"""Where may username and password come from? A tagged union, read by proxy.credentials; nothing here opens anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

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


CredentialSource = EnvironmentSource | FilesSource
