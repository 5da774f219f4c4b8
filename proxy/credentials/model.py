"""Declares the credentials of a Localpayment account, and the base of every source of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.secret import Secret

MANAGER_INTERVAL: Final = 300.0  # seconds; secret managers count, and bill, what they are asked


@dataclass(frozen=True, slots=True)
class Credentials:
    """A username and its password."""

    username: Secret
    password: Secret


class CredentialSourceError(Exception):
    """A source gave no credentials; the text says why and what to do, and quotes nothing that the source holds."""


class Source(ABC):
    """A place that holds the credentials.

    Attributes:
        interval: seconds after which it is read again; None when it cannot change while the process lives.
        confirm_after: seconds after which a change is read once more, as it may be half done; 0 when it cannot be.
    """

    interval: float | None = None
    confirm_after: float = 0.0

    @abstractmethod
    async def load(self) -> Credentials:
        """Read it again.

        Raises:
            CredentialSourceError: it cannot be read, or does not hold both.
        """

    @abstractmethod
    def describe(self) -> str:
        """Say what it is, fit for logs and the status page."""

    def warnings(self) -> tuple[str, ...]:
        """Say what was unsafe, but not wrong, about the last load."""
        return ()
