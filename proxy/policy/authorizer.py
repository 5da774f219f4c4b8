"""Decides whether a call may pass: asks the policy in force once for each call, and counts each caller's rate.

It must never hold a caller's key, and a swap of the policy must never give a caller its used-up calls back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.policy.payout_release import releases_by_date
from proxy.policy.rate_limit import Bucket
from proxy.policy.rules import DEFAULT, Verdict, rate_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from proxy.api.operations import Operation
    from proxy.policy.rules import Caller, Decision, Policy


OVER_RATE: Final = "over_rate"
# What would have been refused, had it not been for mode `report`: the values of a log field and a label.
REPORTED: Final = (*(verdict.value for verdict in Verdict if verdict is not Verdict.ALLOWED), OVER_RATE)


class Authorizer:
    """What callers may do.

    Args:
        now: seconds on a clock that only moves forward.
        policy: in force from the start.

    Attributes:
        policy: in force; `enforce` replaces it.
    """

    def __init__(self, now: Callable[[], float], policy: Policy = DEFAULT) -> None:
        self._now = now
        self._buckets: dict[str, Bucket] = {}
        self.enforce(policy)

    def enforce(self, policy: Policy) -> None:
        """Put another policy in force for every call from now on; calls that were admitted go on.

        A caller whose name and rate stay as they are keeps its bucket, so that no reload refills it.
        """
        now, before = self._now(), self._buckets
        self._buckets = {}
        for caller in policy.callers:
            if caller.rate is not None:
                kept = before.get(caller.name)
                same = kept is not None and kept.rate == caller.rate
                self._buckets[caller.name] = kept if kept is not None and same else Bucket(caller.rate, now)
        self.policy = policy

    def admit(self, caller: Caller | None, operation: Operation) -> tuple[Decision, str]:
        """Judge a call and count it against its caller's rate.

        Args:
            caller: as the policy told in the same turn of the loop.
            operation: what the call means.

        Returns:
            The decision, and what would have been refused, had it not been for mode `report`: one of REPORTED, or
            empty.

        Raises:
            OperationForbiddenError: the caller may not do this.
            OverloadedError: the caller has no call left now; nothing was sent.
        """
        decision = self.policy.decide(caller, operation)
        reported = ""
        if decision.verdict is not Verdict.ALLOWED:
            refusal = decision.refusal()
            if refusal is not None:
                raise refusal
            reported = decision.verdict.value
        late = "" if caller is None or caller.rate is None else self.count(caller)
        return decision, reported or late

    def count(self, caller: Caller) -> str:
        """Count a call against its caller's rate, if it has one; raises OverloadedError as `admit` does.

        Returns:
            OVER_RATE when the rate is only reported, else empty.
        """
        if caller.rate is None:
            return ""
        seconds = self._buckets[caller.name].take(self._now())
        if not seconds:
            return ""
        late = rate_refusal(caller, seconds)
        if late is not None:
            raise late
        return OVER_RATE


def check_release(
    decision: Decision, headers: Iterable[tuple[bytes, bytes]], target: bytes, body: bytes | None
) -> None:
    """Look into a call that may release payouts by id only; `body` is the whole of it, None when it is not held.

    Raises:
        OperationForbiddenError: it may release by date range.
    """
    if releases_by_date(headers, target.partition(b"?")[2], body):
        raise decision.by_date_refusal()
