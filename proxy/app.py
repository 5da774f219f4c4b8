"""Puts the sidecar together, starts it and stops it. The only module that knows all others.

It starts the listeners first, then the token: a wrong password is an answer, not a crash. It stops readiness first,
then the listeners, then the calls in flight. The token is kept fresh until the last call has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from aiohttp import web

from proxy import VERSION
from proxy.background import BackgroundTasks, give_memory_back
from proxy.clock import SystemClock
from proxy.config import TcpAddress
from proxy.control_plane import ControlPlane
from proxy.credentials.sources import open_source
from proxy.hardening import Hardening
from proxy.http1.timeouts import timeout_at
from proxy.listening.tls import caller_tls
from proxy.ops.admin.health import Health
from proxy.ops.admin.key_file import admin_key
from proxy.ops.admin.ledger_commands import LedgerCommands
from proxy.ops.admin.listener import AdminCommands
from proxy.ops.admin.status import Status
from proxy.ops.diagnosis import Site
from proxy.ops.logs.log import open_log
from proxy.ops.metrics.gauges import SidecarState, declare_gauges
from proxy.ops.metrics.ledger_metrics import declare_ledger_readings
from proxy.ops.metrics.metrics import Metrics
from proxy.ops.observers import open_observers
from proxy.process import child_reaper
from proxy.process.memory import MemoryBudget, default_budget
from proxy.relay.attempts import Attempts
from proxy.relay.concurrency import ConcurrencyLimit
from proxy.relay.server.listener import PARTING
from proxy.relay.status_reads import UpstreamStatusReads
from proxy.reload import Reload
from proxy.upstream.connecting.tls import tls_context
from proxy.wiring import (
    CLOSING,
    admin_runner,
    admin_socket,
    connections_of,
    data_listener,
    data_socket,
    ledger_for,
    ledger_store,
    load_policy,
    relay_for,
    upstream_pool,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from proxy.clock import Clock
    from proxy.config import Settings
    from proxy.credentials.model import Source
    from proxy.ledger.ledger import Ledger
    from proxy.ledger.store import Store
    from proxy.ops.logs.log import Log
    from proxy.secret import Secret


class Sidecar:
    """One sidecar; an asynchronous context manager that is listening inside its block.

    Args:
        settings: all of them.
        reread: reads them anew for a reload; without it they stay as they are.
        hardening: what the process has given up.
        clock: the time.
        log: where to; by default stdout.
        most_connections: callers' connections at once, where the system allows fewer than the settings.
        memory_limit: bytes that the process may have; None where nothing limits it.
        parting: seconds that an idle caller's connection is kept once the listener has stopped.

    Raises on entering:
        BindError: a listener's address cannot be had.
        LedgerError: the outcome ledger cannot be used.
        CredentialSourceError: the credentials cannot be read.
        PolicyFileError: the policy has a mistake.
        ValueError: the CA file holds no certificates, or those for callers cannot be used.

    Attributes:
        stopping: set when the process was told to stop.
        listener: serves callers.
    """

    def __init__(  # noqa: PLR0913 - what a process knows that the settings do not
        self,
        settings: Settings,
        *,
        reread: Callable[[], Settings] | None = None,
        hardening: Hardening | None = None,
        clock: Clock | None = None,
        log: Log | None = None,
        most_connections: int | None = None,
        memory_limit: int | None = None,
        parting: float = PARTING,
    ) -> None:
        self.settings = settings
        self._parting = parting
        self._most_connections = most_connections or settings.max_connections
        self._reread = reread or (lambda: settings)
        self._hardening = hardening or Hardening()
        self.log = log or open_log(settings.log_level, settings.log_format)
        self.logger = self.log.logger
        self.metrics = Metrics(VERSION, settings.environment.value)
        self.concurrency = ConcurrencyLimit(settings.max_in_flight)
        tls = settings.tls_cert_file is not None
        budget = default_budget(memory_limit, settings.max_in_flight, self._most_connections, tls=tls)
        self.memory = MemoryBudget(settings.memory_budget or budget)
        self.stopping = asyncio.Event()
        self.ledger: Ledger | None = None
        self._store: Store | None = None
        self._clock = clock or SystemClock()
        self._exits = contextlib.AsyncExitStack()
        self._tasks = BackgroundTasks()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    @property
    def url(self) -> str:
        """Where callers connect."""
        return self._data.url

    @property
    def in_flight(self) -> int:
        """Calls that have begun and are not over; those whose body is still coming hold no place."""
        return self.concurrency.in_flight + self.listener.coming

    @property
    def admin_url(self) -> str:
        """Where health and metrics are."""
        return self._admin.url

    async def run(self) -> None:
        """Wait until the process is told to stop.

        Raises:
            BackgroundTaskDiedError: the renewal of the token has ended, the credentials watch, or another loop.
        """
        await self._tasks.watch(self.stopping)

    async def drain(self) -> bool:
        """Become unready, take no new calls, finish those in flight.

        Returns:
            Whether all of them ended in time, and callers have taken their answers.
        """
        self.make_unready()
        await asyncio.sleep(self.settings.drain_delay)
        await self._data.stop_accepting()
        try:
            async with timeout_at(asyncio.get_running_loop().time() + self.settings.drain_timeout):
                await self.listener.empty.wait()  # a request that began before may still come whole
                await self.concurrency.empty.wait()
        except TimeoutError:
            in_flight, unread = self.in_flight, self.listener.unread_answers
            if not in_flight and not unread:
                return True
            self.logger.error("drain.timed_out", in_flight=in_flight, unread_answers=unread)  # noqa: TRY400 - a fact, not a defect
            return False
        finally:
            self.concurrency.close()
        return True

    def make_unready(self) -> None:
        """Answer the readiness probe with 503 from now on, and end each caller's connection with its next answer."""
        self.relay.shedding = True
        if not self.health.draining:
            self.health.draining_since = self._clock.wall()
            self.logger.info("drain.started", in_flight=self.in_flight)

    async def _start(self) -> None:
        settings, clock = self.settings, self._clock
        source = open_source(settings.credentials, settings.credentials_interval)
        credentials = await source.load()
        policy = await asyncio.to_thread(load_policy, settings)
        key_file = settings.admin_key_file
        key = None if key_file is None else await asyncio.to_thread(admin_key, key_file)
        self.log.known.keep(key)
        self.observers = await asyncio.to_thread(open_observers, settings, self.log, self.metrics, clock.wall)
        self._exits.push_async_callback(asyncio.to_thread, self.observers.close, CLOSING)
        self._store = await asyncio.to_thread(ledger_store, settings, clock, self.observers.ledger)
        self._exits.push_async_callback(self._close_ledger)  # once the listeners are closed, and with them all calls
        tls = await asyncio.to_thread(tls_context, settings.upstream_ca_file) if settings.origin.tls else None
        to_callers = await asyncio.to_thread(caller_tls, settings, self.observers.handshake_refused)
        self._data = await self._exits.enter_async_context(data_socket(settings, self.observers))
        self._admin = await self._exits.enter_async_context(admin_socket(settings, self.observers))
        self.pool = upstream_pool(settings, tls, now=clock.now, connected=self.observers.connected)
        self._exits.push_async_callback(self.pool.close)
        control = ControlPlane(settings, source, credentials, tls, clock, self.observers)
        self.keeper = control.keeper
        await self._open_ledger()
        self.relay = relay_for(
            settings,
            policy,
            attempts=Attempts(self.pool, self.keeper, clock.now),
            concurrency=self.concurrency,
            memory=self.memory,
            clock=clock,
            observers=self.observers,
            ledger=self.ledger,
        )
        certificates = None if to_callers is None else self._trust_anew
        self.reload = Reload(
            settings,
            self._reread,
            log=self.log,
            authorizer=self.relay.parts.authorizer,
            trusting=(self.pool, control.issuer) if tls else (),
            watch=control.watch,
            certificates=certificates,
        )
        await self._serve_operators(control, source, key)
        self.listener = data_listener(settings, self.relay, self.memory, self._most_connections, self._parting)
        runner = web.ServerRunner(self.listener, shutdown_timeout=CLOSING)
        await self._data.serve(runner, to_callers, self.listener)
        self._begin_tasks(control)
        facts = {"version": VERSION, "data": self.url, "admin": self.admin_url, "hardening": str(self._hardening)}
        by_tcp = isinstance(settings.admin_listen, TcpAddress)
        page = f"{self.admin_url}/status" if by_tcp else "localpayment-proxy status"
        self.observers.started(settings, source, **facts, status=page)

    async def _open_ledger(self) -> None:
        reads = UpstreamStatusReads(self.pool, self.keeper, self.concurrency)
        if self._store is not None:
            self.ledger = ledger_for(self.settings, self._store, self._clock, reads, self.observers)
            await self.ledger.prepare()
        declare_ledger_readings(self.metrics.instruments, self.ledger, self._clock.wall)

    async def _close_ledger(self) -> None:
        if self.ledger is None:
            if self._store is not None:
                await asyncio.to_thread(self._store.close)
        elif not await asyncio.to_thread(self.ledger.close, CLOSING):
            self.logger.error("ledger.cut", waiting=self.ledger.journal.waiting)

    async def _serve_operators(self, control: ControlPlane, source: Source, key: Secret | None) -> None:
        settings, wall = self.settings, self._clock.wall
        self.health = Health(self.keeper, self.observers.history, Site.of(settings))
        readings = SidecarState(
            concurrency=self.concurrency,
            pool=self.pool,
            keeper=self.keeper,
            health=self.health,
            observers=self.observers,
            hardening=self._hardening,
            memory=self.memory,
            connections=lambda: connections_of(self.listener, self._admin),
        )
        declare_gauges(self.metrics.instruments, readings)
        commands = AdminCommands(
            reload=self.reload,
            lock=control.lock,
            unlock=control.unlock,
            drain=self.make_unready,
            quit=self.stopping.set,
            ledger=LedgerCommands(self.ledger, wall),
        )
        rules = self.relay.parts.authorizer
        status = Status(settings, VERSION, wall(), readings, source.describe, lambda: rules.policy, self.ledger)
        await self._admin.serve(admin_runner(status, commands, self._clock, key))

    def _begin_tasks(self, control: ControlPlane) -> None:
        self._exits.push_async_callback(self._tasks.end)
        begin = self._tasks.begin
        begin(control.keeper.run(), "token renewal")
        begin(control.watch.run(), "credentials watch")
        begin(give_memory_back(self.memory, self.listener), "memory")
        if self.ledger is not None:
            begin(self.ledger.run(), "outcome ledger")
        if child_reaper.inherits():
            begin(child_reaper.reap_forever(), "child reaper")

    async def _trust_anew(self) -> None:
        """Show callers the certificates that the files hold now."""
        fresh = await asyncio.to_thread(caller_tls, self.settings, self.observers.handshake_refused)
        if fresh is not None:
            await self._data.trust(fresh)
