"""Declares the gauges that are read at each scrape: calls, connections and token as they are now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from proxy.process.memory import Holding
from proxy.tokens.lifecycle_steps import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.hardening import Hardening
    from proxy.ops.admin.health import Health
    from proxy.ops.metrics.instruments import Instruments
    from proxy.ops.observers import Observers
    from proxy.process.memory import MemoryBudget
    from proxy.relay.concurrency import ConcurrencyLimit
    from proxy.tokens.keeper import Keeper
    from proxy.upstream.pool import Pool


class Connections(NamedTuple):
    """Connections of both listeners: those there are, those there may be, and how many were ended for others.

    `coming` are those whose call's body is still coming.
    """

    coming: int
    data: int
    admin: int
    data_limit: int
    admin_limit: int
    data_ended: int
    admin_ended: int


class SidecarState(NamedTuple):
    """The parts of a running sidecar that gauges and the status page read."""

    concurrency: ConcurrencyLimit
    pool: Pool
    keeper: Keeper
    health: Health
    observers: Observers
    hardening: Hardening
    memory: MemoryBudget
    connections: Callable[[], Connections]

    def is_in(self, state: State) -> float:
        """1 when the token is in this state, else 0."""
        return float(self.keeper.state is state)

    def counted(self, name: str) -> int:
        """Return one of the numbers of connections."""
        return int(getattr(self.connections(), name))

    def moment(self, remaining: float | None) -> float:
        """Turn seconds that remain into seconds since the epoch; 0 for None."""
        return 0.0 if remaining is None else self.observers.wall() + remaining


def _declare_bounds(make: Instruments, readings: SidecarState) -> None:
    memory = readings.memory
    make.gauge("uploading_requests", "Requests whose body is still coming; they hold no place.").set_function(
        partial(readings.counted, "coming")
    )
    held = make.gauge("memory_budget_bytes", "Bytes held for callers.", "kind")
    for kind in Holding:
        held.labels(kind.value).set_function(partial(memory.held.__getitem__, kind))
    make.gauge("memory_budget_limit_bytes", "The most bytes held for callers.").set_function(lambda: memory.limit)
    connections = make.gauge("caller_connections", "Connections to a listener.", "listener")
    limits = make.gauge("caller_connections_limit", "The most connections to a listener.", "listener")
    for listener in ("data", "admin"):
        connections.labels(listener).set_function(partial(readings.counted, listener))
        limits.labels(listener).set_function(partial(readings.counted, f"{listener}_limit"))
        make.counted(
            f"{listener}_connections_ended",
            f"Connections to the {listener} listener that ended to make room for others.",
            partial(readings.counted, f"{listener}_ended"),
        )


def declare_gauges(make: Instruments, readings: SidecarState) -> None:
    """Declare what is read at each scrape."""
    keeper, pool, health, observers = readings.keeper, readings.pool, readings.health, readings.observers
    hardening = make.gauge("hardening_info", "What the process gave up.", "files", "dumps", "privileges")
    given_up = readings.hardening
    hardening.labels(given_up.files.value, str(given_up.dumps).lower(), str(given_up.privileges).lower()).set(1)
    make.gauge("in_flight_requests", "Requests being relayed now.").set_function(lambda: readings.concurrency.in_flight)
    make.gauge("in_flight_limit", "The most requests relayed at once.").set_function(lambda: readings.concurrency.limit)
    _declare_bounds(make, readings)
    connections = make.gauge("upstream_connections", "Connections to Localpayment.", "state")
    connections.labels("idle").set_function(lambda: pool.stats().idle)
    connections.labels("active").set_function(lambda: pool.stats().active)
    states = make.gauge("token_state", "1 for the token's state.", "state")
    for state in State:
        states.labels(state.value).set_function(partial(readings.is_in, state))
    make.gauge("credentials_rejected", "1 while Localpayment refuses the credentials.").set_function(
        lambda: keeper.rejected
    )
    make.gauge("token_refused", "1 while Localpayment refuses the token held and gives no other.").set_function(
        lambda: keeper.unreplaced
    )
    make.gauge("token_expiry_timestamp_seconds", "When the access token expires; 0 while none is held.").set_function(
        lambda: readings.moment(keeper.expiries[0])
    )
    make.gauge(
        "refresh_token_expiry_timestamp_seconds", "When the refresh token expires; 0 while none is held."
    ).set_function(lambda: readings.moment(keeper.expiries[1]))
    make.gauge("ready", "1 while calls are forwarded: a good token, no drain.").set_function(
        lambda: health.ready().good
    )
    make.gauge("draining_since_timestamp_seconds", "When draining began; 0 before.").set_function(
        lambda: health.draining_since or 0.0
    )
    make.counted("log_lines_dropped", "Log lines not read in time, and lost.", lambda: observers.log.lost)
    make.counted(
        "audit_lines_dropped",
        "Audit lines that could not be written.",
        lambda: 0 if observers.audit is None else observers.audit.lost,
    )
    make.counted(
        "traces_dropped",
        "Calls whose spans could not be exported.",
        lambda: 0 if observers.traces is None else observers.traces.lost,
    )
