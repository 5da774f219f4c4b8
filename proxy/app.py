"""Puts the sidecar together, starts it and stops it. The only module that knows all others.

It starts the listeners first, then the token: a wrong password is an answer, not a crash. It stops readiness first,
then the listeners, then the calls in flight. The token is kept fresh until the last call has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from aiohttp import web

from proxy import VERSION
from proxy.clock import SystemClock
from proxy.config import TcpAddress
from proxy.credentials.sources import open_source
from proxy.credentials.watch import Reloaded, Watch
from proxy.hardening import Hardening
from proxy.http1.timeouts import timeout_at
from proxy.listening.listener_socket import ListenerSocket
from proxy.ops.admin.health import Health
from proxy.ops.admin.key_file import admin_key
from proxy.ops.admin.ledger_commands import LedgerCommands
from proxy.ops.admin.listener import AdminCommands
from proxy.ops.admin.status import Status
from proxy.ops.diagnosis import Site
from proxy.ops.logs.log import open_log
from proxy.ops.logs.secret_recorder import SecretRecordingIssuer
from proxy.ops.metrics.gauges import Connections, SidecarState, declare_gauges
from proxy.ops.metrics.ledger_metrics import declare_ledger_readings
from proxy.ops.metrics.metrics import Metrics
from proxy.ops.observers import open_observers
from proxy.process import child_reaper
from proxy.process.memory import CONNECTION, MemoryBudget, default_budget, give_back
from proxy.relay.attempts import Attempts
from proxy.relay.concurrency import ConcurrencyLimit
from proxy.relay.server.listener import PARTING
from proxy.relay.server.tls import caller_tls
from proxy.relay.status_reads import UpstreamStatusReads
from proxy.reload import Reload, Uses
from proxy.tokens.issuer import Issuer
from proxy.upstream.tls import tls_context
from proxy.wiring import (
    MOST_OF_ADMIN,
    admin_runner,
    data_listener,
    ledger_for,
    ledger_store,
    load_policy,
    relay_for,
    token_keeper,
    upstream_pool,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from proxy.clock import Clock
    from proxy.config import Settings
    from proxy.credentials.watch import Event
    from proxy.ledger.ledger import Ledger
    from proxy.ledger.store import Store
    from proxy.ops.logs.log import Log
    from proxy.tokens.keeper import TokenDisputed, TokenFetched

LOOK_AT_MEMORY: Final = 5.0  # seconds
MUCH: Final = 4 * 1024 * 1024  # bytes held for callers, of which the allocator keeps a part
CLOSING: Final = 1.0  # seconds for what is left once every call has ended, or was given up


class BackgroundTaskDiedError(RuntimeError):
    """A background loop ended, which it never may: the process must end too, and be restarted."""


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
        return self.concurrency.in_flight + self._listener.coming

    @property
    def admin_url(self) -> str:
        """Where health and metrics are."""
        return self._admin.url

    async def run(self) -> None:
        """Wait until the process is told to stop.

        Raises:
            BackgroundTaskDiedError: the renewal of the token has ended, the credentials watch, or another loop.
        """
        stop = asyncio.create_task(self.stopping.wait())
        await asyncio.wait((stop, *self._loops), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        for task in self._loops:
            if task.done():
                error = None if task.cancelled() else task.exception()
                message = f"the loop of the {task.get_name()} has ended"
                raise BackgroundTaskDiedError(message) from error

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
                await self._listener.empty.wait()  # a request that began before may still come whole
                await self.concurrency.empty.wait()
        except TimeoutError:
            in_flight, unread = self.in_flight, self._listener.unread_answers
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
        settings = self.settings
        source = open_source(settings.credentials, settings.credentials_interval)
        credentials = await source.load()
        policy = await asyncio.to_thread(load_policy, settings)
        key = await asyncio.to_thread(admin_key, settings)
        self.log.known.keep(key)
        self.observers = await asyncio.to_thread(open_observers, settings, self.log, self.metrics, self._clock.wall)
        self._exits.push_async_callback(asyncio.to_thread, self.observers.close, CLOSING)
        self._store = await asyncio.to_thread(ledger_store, settings, self._clock, self.observers.ledger)
        self._exits.push_async_callback(self._close_ledger)  # once the listeners are closed, and with them all calls
        tls = tls_context(settings.upstream_ca_file) if settings.origin.tls else None
        to_callers = await asyncio.to_thread(caller_tls, settings, self.observers.handshake_refused)
        paused = self.observers.accept_paused
        data = ListenerSocket(settings.listen, "PROXY_LISTEN", reserve=True, paused=partial(paused, "data"))
        self._data = await self._exits.enter_async_context(data)
        admin = ListenerSocket(
            settings.admin_listen, "PROXY_ADMIN_LISTEN", paused=partial(paused, "admin"), most=MOST_OF_ADMIN
        )
        self._admin = await self._exits.enter_async_context(admin)
        self.pool = upstream_pool(settings, tls, now=self._clock.now, connected=self.observers.connected)
        self._exits.push_async_callback(self.pool.close)
        issuer = Issuer(settings.origin, self._clock, tls, settings.egress_proxy)
        endpoints = SecretRecordingIssuer(issuer, self.log.known, self.observers.failed)
        self.keeper = token_keeper(settings, endpoints, credentials, self._clock, self._reported)
        self.health = Health(self.keeper, self.observers.history, Site.of(settings))
        readings = SidecarState(
            concurrency=self.concurrency,
            pool=self.pool,
            keeper=self.keeper,
            health=self.health,
            observers=self.observers,
            hardening=self._hardening,
            memory=self.memory,
            connections=self._connections,
        )
        declare_gauges(self.metrics.instruments, readings)
        self.metrics.credentials_loaded.set(self._clock.wall())
        self._watch = Watch(source, held=credentials, clock=self._clock, report=self._looked)
        attempts = Attempts(self.pool, self.keeper, self._clock.now)
        await self._open_ledger()
        self.relay = relay_for(
            settings,
            policy,
            attempts=attempts,
            concurrency=self.concurrency,
            memory=self.memory,
            clock=self._clock,
            observers=self.observers,
            ledger=self.ledger,
        )
        self.reload = self._reloading(issuer)
        started, rules = self._clock.wall(), self.relay.authorizer
        status = Status(settings, VERSION, started, readings, source.describe, lambda: rules.policy, self.ledger)
        await self._admin.serve(admin_runner(status, self._commands(), self._clock, key, CLOSING))
        self._listener = data_listener(settings, self.relay, self.memory, self._most_connections, self._parting)
        await self._data.serve(web.ServerRunner(self._listener, shutdown_timeout=CLOSING), to_callers, self._listener)
        self._loops = [
            self._task(self.keeper.run(), "token renewal"),
            self._task(self._watch.run(), "credentials watch"),
        ]
        self._loops.append(self._task(self._give_memory_back(), "memory"))
        if self.ledger is not None:
            self._loops.append(self._task(self.ledger.run(), "outcome ledger"))
        if child_reaper.inherits():
            self._loops.append(self._task(child_reaper.reap_forever(), "child reaper"))
        facts = {"version": VERSION, "data": self.url, "admin": self.admin_url, "hardening": str(self._hardening)}
        page = (
            f"{self.admin_url}/status" if isinstance(settings.admin_listen, TcpAddress) else "localpayment-proxy status"
        )
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

    def _connections(self) -> Connections:
        listener, admin = self._listener, self._admin
        return Connections(
            data=listener.connected,
            coming=listener.coming,
            data_limit=listener.max_connections,
            data_ended=listener.ended,
            admin=admin.connected,
            admin_limit=MOST_OF_ADMIN,
            admin_ended=admin.ended,
        )

    async def _give_memory_back(self) -> None:
        """After a burst, give the system back what it took."""
        memory, most = self.memory, 0
        while True:
            await asyncio.sleep(LOOK_AT_MEMORY)
            connections = self._listener.connected * CONNECTION
            now, most = memory.used + connections, max(most, memory.most + connections)
            if most - now > MUCH:
                most = memory.most = 0
                await asyncio.to_thread(give_back)

    def _commands(self) -> AdminCommands:
        return AdminCommands(
            reload=self.reload,
            lock=self._lock,
            unlock=self._unlock,
            drain=self.make_unready,
            quit=self.stopping.set,
            ledger=LedgerCommands(self.ledger, self._clock.wall),
        )

    def _reloading(self, issuer: Issuer) -> Reload:
        def trust(tls: ssl.SSLContext) -> None:
            self.pool.trust(tls)
            issuer.trust(tls)

        def level(name: str) -> None:
            self.log.threshold.level = name

        async def certificates() -> None:
            fresh = await asyncio.to_thread(caller_tls, self.settings, self.observers.handshake_refused)
            if fresh is not None:
                await self._data.trust(fresh)

        uses = Uses(
            level=level,
            policy=self.relay.authorizer.enforce,
            trust=trust if self.settings.origin.tls else None,
            credentials=self._watch.look,
            certificates=None if self.settings.tls_cert_file is None else certificates,
        )
        return Reload(self.settings, self._reread, uses, self.logger)

    def _lock(self) -> None:
        self.keeper.lock()
        self.logger.warning("sidecar.locked")

    def _unlock(self) -> None:
        self.keeper.unlock()
        self.logger.warning("sidecar.unlocked")

    def _task(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)

        async def end() -> None:
            task.cancel()
            await asyncio.wait((task,))

        self._exits.push_async_callback(end)
        return task

    def _looked(self, event: Event) -> None:
        self.observers.looked(event)
        if isinstance(event, Reloaded):
            self.metrics.credentials_loaded.set(self._clock.wall())
            self.keeper.replace_credentials(event.credentials)

    def _reported(self, report: TokenFetched | TokenDisputed) -> None:
        self.observers.reported(report, self.keeper.state)
