"""Runs the sidecar as a process: signals in, exit code out.

The first SIGTERM or SIGINT drains, or ends a start that is under way. A second one ends the process at once and logs
what it cut. SIGHUP reloads. An unforeseen exception ends the process; its text is never logged, as it may quote what
was sent.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, assert_never

from proxy.app import Sidecar
from proxy.background import BackgroundTaskDiedError
from proxy.config import load_settings
from proxy.config.declared_settings import CONFIG_FILE
from proxy.credentials.model import CredentialSourceError
from proxy.hardening import forget, harden
from proxy.ledger.entry import LedgerError
from proxy.listening.binding import BindError
from proxy.listening.tls import CertificateError
from proxy.ops.admin.key_file import KeyFileError
from proxy.ops.logs.audit import AuditError
from proxy.ops.logs.log import open_log
from proxy.ops.tracing.exporter import TracingError
from proxy.policy.file import PolicyFileError
from proxy.process.error_location import trail, where
from proxy.process.memory import connections_in, memory_limit
from proxy.process.startup import STOP_SIGNALS, reload_asked
from proxy.relay.server.lingering import MOST_LINGERING

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from proxy.config import Settings
    from proxy.ops.logs.log import Log

EXIT_FINE: Final = 0
EXIT_FAILED: Final = 1
# What the settings lead to and cannot be used; each error's text is ours, and says what to do.
UNUSABLE: Final = (
    AuditError,
    CertificateError,
    CredentialSourceError,
    KeyFileError,
    LedgerError,
    PolicyFileError,
    TracingError,
)
OTHER_FILES: Final = 96  # the admin listener's connections, logs, files that are read anew, the token endpoints
LEAVING: Final = 1.0  # seconds for threads to end, once all that the sidecar is made of has ended
FLUSHING: Final = 1.0  # seconds for the last lines of the log; its reader may be gone


def serve(settings: Settings, environ: MutableMapping[str, str] | None = None) -> int:
    """Run the sidecar until it is told to stop.

    Args:
        settings: all of them.
        environ: what a reload reads them anew from, and what secrets are removed from; without it a reload leaves them
            as they are.

    Returns:
        The process's exit code: 0 when every call in flight ended in time, else 1.

    Raises:
        BindError: a listener's address cannot be had.
        One of UNUSABLE: something that the settings name cannot be used.
    """
    reread: Callable[[], Settings] | None = None
    more: tuple[Path, ...] = ()
    if environ is not None:
        held = dict(environ)
        reread = partial(load_settings, held)
        more = (Path(held[CONFIG_FILE]),) if held.get(CONFIG_FILE) else ()
        forget(environ)
    memory = memory_limit()  # before what the process gives up hides it
    new_loop = loop_factory(settings.event_loop)
    hardening = harden(settings, more)
    log = open_log(settings.log_level, settings.log_format)
    needed = settings.max_connections + MOST_LINGERING + settings.max_in_flight + OTHER_FILES
    allowed = _open_files(needed)
    most = most_connections(allowed, settings.max_connections)
    if allowed < needed:
        log.logger.warning("descriptors.too_few", needed=needed, allowed=allowed, connections=most)
    if memory is not None:
        most = min(most, connections_in(memory, tls=settings.tls_cert_file is not None))
    sidecar = Sidecar(settings, reread=reread, hardening=hardening, log=log, most_connections=most, memory_limit=memory)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            code = runner.run(_serve(sidecar))
            _leave_within(LEAVING, code, log)
            return code
    except (BindError, *UNUSABLE):
        raise
    except Exception as error:  # noqa: BLE001 - Python would print its text
        facts = {"exception": type(error).__qualname__, "where": where(error), "trail": trail(error.__traceback__)}
        log.logger.critical("sidecar.failed", **facts)
        return EXIT_FAILED
    finally:
        log.close(FLUSHING)


def loop_factory(name: Literal["uvloop", "asyncio"]) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop of this name."""
    match name:
        case "uvloop":
            import uvloop  # noqa: PLC0415 - with asyncio no other loop is in memory

            return uvloop.new_event_loop
        case "asyncio":
            return asyncio.new_event_loop
        case never:
            assert_never(never)


def _open_files(needed: int) -> int:
    """Let the process open so many files, as far as it may; return how many those are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def most_connections(allowed: int, asked: int) -> int:
    """Return how many connections callers may have where the process may open so many files.

    Beyond it they are told that they are too many, for which descriptors must be left.
    """
    return min(asked, max(allowed - OTHER_FILES - MOST_LINGERING, allowed // 2, 1))


async def _serve(sidecar: Sidecar) -> int:
    told = _SignalHandler(sidecar)
    try:
        async with sidecar:
            told.start_has_ended()
            gc.collect()
            gc.freeze()  # what the start has made lives as long as the process; the collector need not look at it again
            await sidecar.run()
            clean = await sidecar.drain()
    except BackgroundTaskDiedError as error:
        cause = type(error.__cause__).__qualname__
        sidecar.logger.critical("token.loop_died", exception=cause)
        return EXIT_FAILED
    except asyncio.CancelledError:
        if told.killed:
            return EXIT_FAILED
        clean = True  # nothing had begun
    sidecar.logger.info("sidecar.stopped", clean=clean)
    return EXIT_FINE if clean else EXIT_FAILED


class _SignalHandler:
    """Handles signals for the sidecar that the current task runs; a stop before it is ready ends its start."""

    def __init__(self, sidecar: Sidecar) -> None:
        self.killed = False
        self._sidecar = sidecar
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task(self._loop)
        self._starting = True
        self._reload_wanted = False
        self._reloads: set[asyncio.Task[object]] = set()
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)
        for number in STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._stop)

    def start_has_ended(self) -> None:
        """Let the next signal begin the drain; do the reload that was asked for meanwhile."""
        self._starting = False
        if self._reload_wanted or reload_asked():
            self._reload()

    def _stop(self) -> None:
        self.killed = self._sidecar.stopping.is_set()
        if self.killed:
            self._sidecar.logger.error("sidecar.killed", in_flight=self._sidecar.in_flight)
        if self._main is not None and (self.killed or self._starting):
            self._main.cancel()
        self._sidecar.stopping.set()

    def _reload(self) -> None:
        if self._starting:
            self._reload_wanted = True
            return
        task = self._loop.create_task(self._sidecar.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)


def _leave_within(seconds: float, code: int, log: Log) -> None:
    """End the process at the latest so much later: a thread may wait for a file that a dead server holds."""

    def leave() -> None:
        log.close(FLUSHING)
        os._exit(code)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
