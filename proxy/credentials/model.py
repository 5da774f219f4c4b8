"""Declares the credentials of a Localpayment account, and the interface of a source of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

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


class Source(Protocol):
    """A place that holds the credentials."""

    @property
    def interval(self) -> float | None:
        """Seconds after which it should be read again; None when it cannot change while the process lives."""
        ...

    @property
    def confirm_after(self) -> float:
        """Seconds after which a change is read once more, as it may have been seen half-way; 0 when it cannot be."""
        ...

    async def load(self) -> Credentials:
        """Read it anew.

        Raises:
            CredentialSourceError: it cannot be read, or does not hold both.
        """
        ...

    def describe(self) -> str:
        """Say what it is, fit for logs and the status page."""
        ...

    def warnings(self) -> tuple[str, ...]:
        """Say what was unsafe, but not wrong, about the last load."""
        ...
