"""What does one Localpayment account log in with?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """A username and its password."""

    username: Secret
    password: Secret
