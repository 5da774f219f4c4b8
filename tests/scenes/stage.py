"""A scene: a sidecar, a fault of its simulator or of its callers, and the alerts that must follow.

A sidecar whose faults concern the life of a token runs on a clock that is as fast as Prometheus is made; the others'
clocks are true. A fault begins in `happen`, once Prometheus has seen the sidecar well, unless the scene says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from proxy.clock import SystemClock

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from tests.support.sidecars import Running

FACTOR: Final = 30.0  # times as fast: a scrape every half second
BALANCE: Final = "/api/accounts/032.840.00000001/balance"


@dataclass(frozen=True)
class Scene:
    """One sidecar and what happens to it.

    Attributes:
        job: under which Prometheus knows it.
        target: address of its admin listener.
        happen: lets the fault happen for as long as it is let run.
        raises: the alerts that must follow.
        past: series that Prometheus has of the days before: name and labels → value.
        ill: whether the fault is there from the start.
    """

    job: str
    target: str
    happen: Callable[[], Awaitable[None]]
    raises: frozenset[str]
    past: dict[str, float] = field(default_factory=dict)
    ill: bool = False


class FastClock(SystemClock):
    """A clock on which tokens age FACTOR times as fast; the time of day is true, since Prometheus compares with it."""

    def now(self) -> float:
        return super().now() * FACTOR

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        return await super().wait(event, seconds / FACTOR)


def named(text: str) -> frozenset[str]:
    """Alerts by what stands behind the product's name."""
    return frozenset(f"LocalpaymentProxy{name}" for name in text.split())


def admin(relay: Running) -> str:
    """Where Prometheus finds a sidecar."""
    return relay.sidecar.admin_url.removeprefix("http://")


def payment(number: int) -> dict[str, Any]:
    return {"externalId": f"order-{number}", "amount": 12.5, "currency": "MXN", "country": "MEX"}
