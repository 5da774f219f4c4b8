"""Makes the parts of the sidecar from the settings. It starts nothing."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

from aiohttp import web

from proxy.config import LedgerFile
from proxy.ledger.entry import LedgerError, UnusableLedgerError
from proxy.ledger.ledger import Ledger, Rules
from proxy.ledger.places import store_at
from proxy.ledger.reports import SetAside, Written
from proxy.listening.listener_socket import ListenerSocket
from proxy.ops.admin.access import AdminAccess, admin_hosts
from proxy.ops.admin.event_stream import EventStream
from proxy.ops.admin.listener import AdminApplication
from proxy.ops.metrics.gauges import Connections
from proxy.policy.authorizer import Authorizer
from proxy.policy.file import read_policy
from proxy.policy.rules import DEFAULT
from proxy.relay.intents import Intents
from proxy.relay.parts import RelayParts
from proxy.relay.relay import Relay
from proxy.relay.response.head import ResponseHeads
from proxy.relay.server.listener import Listener
from proxy.upstream.model import Limits
from proxy.upstream.pool import Pool

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from proxy.clock import Clock
    from proxy.config import Settings
    from proxy.ledger.reports import Report
    from proxy.ledger.settler import StatusReads
    from proxy.ledger.store import Store
    from proxy.ops.admin.listener import AdminCommands
    from proxy.ops.admin.status import Status
    from proxy.ops.observers import Observers
    from proxy.policy.rules import Policy
    from proxy.process.memory import MemoryBudget
    from proxy.relay.attempts import Attempts
    from proxy.relay.concurrency import ConcurrencyLimit
    from proxy.secret import Secret
    from proxy.upstream.model import ConnectResult

LEAST_IDLE: Final = 1.0  # seconds of PROXY_EFFECTS_IDLE from which on connections are kept warm
KEEP_WARM: Final = 30.0  # seconds after the last call; two or three handshakes a second, most of them short
CLOSING: Final = 1.0  # seconds for what is left once every call has ended, or was given up
ADMIN_IDLE: Final = 10.0  # seconds for a request to the admin listener to come, the first and any further one
MOST_OF_ADMIN: Final = 48  # connections to it; fewer than the descriptors that are left for it


def upstream_pool(
    settings: Settings,
    tls: ssl.SSLContext | None,
    *,
    now: Callable[[], float],
    connected: Callable[[ConnectResult], None],
) -> Pool:
    """Return the pool of connections to Localpayment."""
    limits = Limits(
        connect_timeout=settings.connect_timeout,
        response_timeout=settings.response_timeout,
        idle_timeout=settings.idle_timeout,
        effects_idle=settings.effects_idle,
        keep_warm=KEEP_WARM if settings.effects_idle >= LEAST_IDLE else 0.0,
        max_age=settings.max_connection_age,
        max_connections=settings.max_in_flight,  # so that the gate alone says how many calls there may be
    )
    return Pool(
        settings.origin,
        limits=limits,
        ssl_context=tls,
        egress=settings.egress_proxy if settings.origin.tls else None,  # a plain origin is on this machine
        now=now,
        chance=random.random,
        connected=connected,
    )


def load_policy(settings: Settings) -> Policy:
    """Return the policy that the settings name; blocks, and raises PolicyFileError when it has a mistake."""
    return DEFAULT if settings.policy_file is None else read_policy(settings.policy_file).policy


def ledger_store(settings: Settings, clock: Clock, report: Callable[[Report], None]) -> Store | None:
    """Open what keeps the ledger; blocks. None without one.

    Raises:
        LedgerError: it cannot be used. A database that is only away for now is no reason: it is tried again.
    """
    place = settings.ledger
    if place == "off":
        return None
    store = store_at(
        place, wall=clock.wall, timeout=settings.ledger_timeout, damaged=lambda aside: report(SetAside(aside))
    )
    try:
        store.open()
    except UnusableLedgerError:
        raise
    except LedgerError as error:
        if isinstance(place, LedgerFile):
            raise
        report(Written(0.0, str(error)))
    return store


def ledger_for(settings: Settings, store: Store, clock: Clock, reads: StatusReads, observers: Observers) -> Ledger:
    """Return the outcome ledger in this store."""
    rules = Rules(
        on_failure=settings.ledger_on_failure,
        timeout=settings.ledger_timeout,
        keep=settings.ledger_keep,
        duplicates=settings.duplicates,
        window=settings.duplicate_window,
    )
    masked = observers.log.known.redacted
    return Ledger(store, rules, clock=clock, reads=reads, report=observers.ledger, masked=masked)


def relay_for(  # noqa: PLR0913 - what a relay is made of
    settings: Settings,
    policy: Policy,
    *,
    attempts: Attempts,
    concurrency: ConcurrencyLimit,
    memory: MemoryBudget,
    clock: Clock,
    observers: Observers,
    ledger: Ledger | None = None,
) -> Relay:
    """Return the data plane."""
    parts = RelayParts(
        settings=settings,
        refusals=attempts.refusals,
        concurrency=concurrency,
        memory=memory,
        heads=ResponseHeads(settings.origin),
        authorizer=Authorizer(clock.now, policy),
        now=clock.now,
        wall=clock.wall,
        bits=random.getrandbits,
        observe=observers.observe,
        failed=observers.events.failed,
        wrong_protocol=observers.wrong_protocol,
        fingerprint=observers.fingerprint,
        intents=None if ledger is None else Intents(ledger),
        traced=observers.traces is not None,
    )
    return Relay(parts, attempts)


def data_socket(settings: Settings, observers: Observers) -> ListenerSocket:
    """Return what callers connect to."""
    paused = partial(observers.accept_paused, "data")
    return ListenerSocket(settings.listen, "PROXY_LISTEN", reserve=True, paused=paused)


def admin_socket(settings: Settings, observers: Observers) -> ListenerSocket:
    """Return what operators connect to."""
    paused = partial(observers.accept_paused, "admin")
    return ListenerSocket(settings.admin_listen, "PROXY_ADMIN_LISTEN", paused=paused, most=MOST_OF_ADMIN)


def data_listener(settings: Settings, relay: Relay, memory: MemoryBudget, connections: int, parting: float) -> Listener:
    """Return what serves callers, on so many connections; idle ones are kept for `parting` seconds once it stops."""
    listener = Listener(
        relay,
        header_timeout=settings.header_timeout,
        memory=memory,
        max_connections=connections,
        caller_idle=settings.caller_idle_timeout,
        parting=parting,
    )
    if connections < settings.max_connections:
        listener.limited_by = "the limit of open files (ulimit -n), or of memory,"
    return listener


def connections_of(listener: Listener, admin: ListenerSocket) -> Connections:
    """Count the connections of both listeners."""
    return Connections(
        data=listener.connected,
        coming=listener.coming,
        data_limit=listener.max_connections,
        data_ended=listener.ended,
        admin=admin.connected,
        admin_limit=MOST_OF_ADMIN,
        admin_ended=admin.ended,
    )


def admin_runner(status: Status, commands: AdminCommands, clock: Clock, key: Secret | None) -> web.AppRunner:
    """Return what serves operators; commands must carry the key, if there is one."""
    settings, readings = status.settings, status.readings
    admin = AdminApplication(
        health=readings.health,
        metrics=readings.observers.metrics,
        status=status,
        events=EventStream(status, clock),
        access=AdminAccess(admin_hosts(settings.admin_listen, settings.allowed_hosts), key),
        commands=commands,
        logger=readings.observers.log.logger,
    )
    return web.AppRunner(
        admin.application(),
        access_log=None,
        shutdown_timeout=CLOSING,
        keepalive_timeout=ADMIN_IDLE,
        lingering_time=CLOSING,
    )
