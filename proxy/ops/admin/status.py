"""Collects what `/status` shows in one JSON value; the page and the terminal are made from it.

It must never hold a secret, or what identifies a payment or a caller's request.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from proxy.api.operations import Kind
from proxy.config.declared_settings import effective
from proxy.ops.admin.history import SLICE
from proxy.ops.admin.ledger_view import ledger_view
from proxy.ops.risks import risks
from proxy.policy.grants import BY_DATE, KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.config import Settings
    from proxy.ledger.ledger import Ledger
    from proxy.ops.admin.history import SeenCall, Slice
    from proxy.ops.diagnosis import Diagnosis
    from proxy.ops.metrics.gauges import SidecarState
    from proxy.policy.rules import Policy

CALLS_SHOWN: Final = 20
UNSETTLED_SHOWN: Final = 10
_MILLI: Final = 1000.0
_PAYING_OUT: Final = KINDS[Kind.MONEY_OUT.value] | {BY_DATE}


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of one sidecar.

    Attributes:
        settings: as they hold.
        version: of the sidecar.
        started: when it began to listen, in seconds since the epoch.
        readings: what can be looked at.
        credentials: says where username and password come from.
        policy: gives what is in force.
        ledger: of outcomes; None without one.
    """

    settings: Settings
    version: str
    started: float
    readings: SidecarState
    credentials: Callable[[], str]
    policy: Callable[[], Policy]
    ledger: Ledger | None = None

    def view(self) -> dict[str, Any]:
        """Return everything, ready for JSON; times are seconds since the epoch, durations carry their unit."""
        readings, history = self.readings, self.readings.observers.history
        now, ready = readings.observers.wall(), readings.health.ready()
        return {
            "environment": self.settings.environment.value,
            "version": self.version,
            "origin": str(self.settings.origin),
            "now": now,
            "started": self.started,
            "ready": ready.good,
            "reason": ready.reason,
            "why": None if ready.why is None else _told(ready.why),
            "draining": readings.health.draining,
            "token": self._token(now),
            "in_flight": {"now": readings.concurrency.in_flight, "limit": readings.concurrency.limit},
            "connections": readings.pool.stats()._asdict(),
            "last_calls": [asdict(call) for call in reversed(history.calls[-CALLS_SHOWN:])],
            "unsettled": {
                "total": history.unsettled_total,
                "last": [self._unsettled(call) for call in reversed(history.unsettled[-UNSETTLED_SHOWN:])],
            },
            "ledger": ledger_view(self.ledger, readings.observers.log.known.redacted),
            "last_15_minutes": _minutes(history.slices(now)),
            "policy": self._policy(),
            "credentials": self.credentials(),
            "warnings": [risk.text for risk in risks(self.settings)],
            "log_lines_dropped": readings.observers.log.lost,
            "settings": effective(self.settings),
        }

    def _unsettled(self, call: SeenCall) -> dict[str, Any]:
        """Return a call with its request id, which is the caller's word and is masked as in the log."""
        return asdict(call) | {"request_id": self.readings.observers.log.known.redacted(call.request_id or "")}

    def _policy(self) -> dict[str, Any]:
        file, policy = self.settings.policy_file, self.policy()
        return {
            "file": None if file is None else str(file),
            "callers": [
                {
                    "name": caller.name,
                    "mode": caller.mode.value,
                    "operations": len(caller.allowed - {BY_DATE}),
                    "pays_out": sorted(caller.allowed & _PAYING_OUT),
                }
                for caller in policy.callers
            ],
        }

    def _token(self, now: float) -> dict[str, Any]:
        keeper, failing = self.readings.keeper, self.readings.health.failing()
        access, refresh = (None if left is None else now + left for left in keeper.expiries)
        return {
            "state": keeper.state.value,
            "credentials_rejected": keeper.rejected,
            "refused": keeper.unreplaced,
            "expires": access,
            "refresh_expires": refresh,
            "failing": None if failing is None else _told(failing),
            "fetches": [asdict(fetch) for fetch in reversed(self.readings.observers.history.fetches)],
        }


def _told(why: Diagnosis) -> dict[str, str]:
    return {"cause": why.cause, "advice": why.advice}


def _minutes(slices: tuple[Slice, ...]) -> dict[str, Any]:
    return {
        "slice_seconds": SLICE,
        "calls": [each.calls for each in slices],
        "errors": [each.errors for each in slices],
        "p50_ms": [_milliseconds(each.percentile(0.5)) for each in slices],
        "p95_ms": [_milliseconds(each.percentile(0.95)) for each in slices],
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * _MILLI
