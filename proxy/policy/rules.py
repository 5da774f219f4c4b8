"""Decides whether a caller may do an operation.

Pure, and computed in advance for every caller and operation. Mode `report` lets pass what `enforce` would refuse, but
never more than no policy at all lets pass: the release by date range stays refused unless it is named.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, assert_never

from proxy.errors import OperationForbiddenError, OverloadedError
from proxy.policy.grants import AUTHORIZE, BY_DATE, EVERYTHING
from proxy.policy.identity import Identity, holder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.api.operations import Operation
    from proxy.policy.identity import Peer
    from proxy.policy.rate_limit import Rate

UNKNOWN: Final = "unknown"
ANYONE: Final = "anyone"
Duplicates = Literal["report", "refuse"]


class Mode(StrEnum):
    """Whether a refusal is enforced, or only reported."""

    ENFORCE = "enforce"
    REPORT = "report"


class Verdict(StrEnum):
    """What the policy says: the values of a log field."""

    ALLOWED = "allowed"
    UNKNOWN_CALLER = "unknown_caller"
    NOT_ALLOWED = "not_allowed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller and what it may do.

    Attributes:
        name: a label of logs, from the policy.
        identity: how it is known.
        allowed: names of operations, BY_DATE among them if it may release by date; what is denied is taken off already.
        denied: what `deny` took off.
        own_authorization: operations to which the caller's own Authorization passes in place of ours.
        mode: for this caller.
        rate: of its calls, None without a limit.
    """

    name: str
    identity: Identity
    allowed: frozenset[str]
    denied: frozenset[str] = frozenset()
    own_authorization: frozenset[str] = frozenset()
    mode: Mode = Mode.ENFORCE
    rate: Rate | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says about one operation of one caller.

    Attributes:
        caller: its name, UNKNOWN for one the policy does not know.
        operation: its name.
        verdict: what the policy says.
        mode: whether that is carried out.
        by_id_only: the call passes only if it releases payouts by id; see `release.releases_by_date`.
        own_authorization: whether the caller's own Authorization passes in place of ours.
    """

    caller: str
    operation: str
    verdict: Verdict
    mode: Mode
    by_id_only: bool = False
    own_authorization: bool = False

    def refusal(self) -> OperationForbiddenError | None:
        """Return what to raise, or None if the call passes, perhaps because the verdict is only reported."""
        match self.verdict:
            case Verdict.ALLOWED:
                return None
            case Verdict.UNKNOWN_CALLER:
                detail = (
                    "The policy knows no such caller; send an X-Proxy-Key, or call as a user or certificate it lists."
                )
            case Verdict.NOT_ALLOWED:
                detail = f"The policy does not allow {self.operation!r} to {self.caller!r}; add it to its allow list."
            case Verdict.DENIED:
                detail = f"The policy denies {self.operation!r} to {self.caller!r}; deny wins over allow."
            case never:
                assert_never(never)
        return None if self.mode is Mode.REPORT else OperationForbiddenError(detail)

    def by_date_refusal(self) -> OperationForbiddenError:
        """Return what to raise when a call that is `by_id_only` releases by date; mode `report` does not soften it."""
        detail = (
            "A release of payouts must name them by externalId, internalId or externalIds and say nothing else, in "
            f"plain JSON, within PROXY_REPLAY_BUFFER and without a query; any other needs {BY_DATE!r} in the caller's "
            "allow list."
        )
        return OperationForbiddenError(detail)


def rate_refusal(caller: Caller, seconds: float) -> OverloadedError | None:
    """Return what to raise when a caller must wait so long (see `rate.Bucket`), or None when that is only reported."""
    if caller.mode is Mode.REPORT:
        return None
    detail = (
        f"The policy's rate for {caller.name!r} is used up; nothing was sent. Send the call again later, and slower."
    )
    return OverloadedError(detail, retry_after=max(1.0, seconds))


class Policy:
    """All callers; the first that matches is the one.

    Attributes:
        callers: in the file's order.
        mode: for those who are no caller.
        duplicates: what becomes of repeats, by operation, where it is not what PROXY_DUPLICATES says.
    """

    __slots__ = ("_keys", "_tables", "_unknown", "callers", "duplicates", "mode")

    def __init__(
        self,
        callers: Sequence[Caller],
        mode: Mode = Mode.ENFORCE,
        duplicates: Mapping[str, Duplicates] = MappingProxyType({}),
    ) -> None:
        self.callers = tuple(callers)
        self.mode = mode
        self.duplicates = duplicates
        self._tables = {caller.name: _table(caller) for caller in callers}
        self._unknown = _unknown_table(mode)
        placed = reversed(tuple(enumerate(callers)))  # of callers with the same key, the first is its holder
        self._keys = [(key, at) for at, caller in placed for key in caller.identity.keys]

    def caller(self, peer: Peer, keys: Sequence[bytes] = ()) -> Caller | None:
        """Return who calls; None for a caller the policy does not know.

        Args:
            peer: the connection's other end.
            keys: every X-Proxy-Key of the request. One decides alone, more than one is no caller's; where no caller has
                a key they mean nothing.
        """
        if keys and self._keys:
            at = holder(self._keys, keys[0]) if len(keys) == 1 else None
            return None if at is None else self.callers[at]
        return next((caller for caller in self.callers if caller.identity.fits(peer)), None)

    def decide(self, caller: Caller | None, operation: Operation) -> Decision:
        """Judge an operation of a caller of this policy."""
        return (self._unknown if caller is None else self._tables[caller.name])[operation.name]


def _table(caller: Caller) -> Mapping[str, Decision]:
    table = {}
    for name in EVERYTHING:
        verdict = Verdict.DENIED if name in caller.denied else Verdict.NOT_ALLOWED
        table[name] = Decision(
            caller.name,
            name,
            Verdict.ALLOWED if name in caller.allowed else verdict,
            caller.mode,
            by_id_only=name == AUTHORIZE and BY_DATE not in caller.allowed,
            own_authorization=name in caller.own_authorization and name in caller.allowed,
        )
    return table


def _unknown_table(mode: Mode) -> Mapping[str, Decision]:
    return {
        name: Decision(UNKNOWN, name, Verdict.UNKNOWN_CALLER, mode, by_id_only=name == AUTHORIZE) for name in EVERYTHING
    }


# Without a policy file: every caller may call everything, but for the release by date range and, by
# `target.read_target`, the token endpoints.
DEFAULT: Final = Policy((Caller(ANYONE, Identity(anyone=True), EVERYTHING),))
