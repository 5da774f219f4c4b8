"""Declares the steps that the lifecycle asks for, and the states that it reports. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.credentials.model import Credentials
    from proxy.secret import Secret


class State(StrEnum):
    """What the token control plane is in, as an operator would say it."""

    STARTING = "starting"
    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    REJECTED = "rejected"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`, unless something happens."""

    until: float


@dataclass(frozen=True, slots=True)
class LogIn:
    """Fetch a pair with username and password, in at most `timeout` seconds.

    Attributes:
        offered: whether the credentials are new and have to prove themselves; those before them stay in use until then.
        session: what the answer belongs to; an answer to a step of an earlier session is dropped.
    """

    credentials: Credentials
    timeout: float
    offered: bool
    session: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """Fetch an access token with `token`, in at most `timeout` seconds; `session` as for LogIn."""

    token: Secret
    timeout: float
    session: int


Fetch = LogIn | Refresh
Step = Wait | Fetch
