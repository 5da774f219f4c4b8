"""How does the process live and end? Signals in, exit code out.

The first SIGTERM or SIGINT drains; a second one ends the process at once, and says what it cut. SIGHUP reloads. What
nobody foresaw ends the process too, and its text is told nowhere: it may quote what was sent.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, assert_never

from proxy.app import KeeperDiedError, Sidecar
from proxy.config import load_settings
from proxy.config.catalogue import CONFIG_FILE
from proxy.credentials.model import CredentialSourceError
from proxy.hardening import forget, harden
from proxy.listening import BindError
from proxy.ops.audit import AuditError
from proxy.ops.keys import KeyFileError
from proxy.ops.logs import open_log
from proxy.ops.tracing import TracingError
from proxy.place import trail, where
from proxy.relay.caller_tls import CertificateError
from proxy.relay.policy_file import PolicyFileError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from proxy.config import Settings
    from proxy.hardening import Hardening
    from proxy.ops.logs import Log

EXIT_FINE: Final = 0
EXIT_FAILED: Final = 1
# What the settings lead to and cannot be used; each error's text is ours, and says what to do.
UNUSABLE: Final = (AuditError, CertificateError, CredentialSourceError, KeyFileError, PolicyFileError, TracingError)
OTHER_FILES: Final = 64  # listeners, logs, files that are read anew, connections to the token endpoints
FLUSHING: Final = 1.0  # seconds for the last lines of the log; whoever reads it may be gone


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
    new_loop = loop_factory(settings.event_loop)
    hardening = harden(settings, more)
    log = open_log(settings.log_level, settings.log_format)
    needed = settings.max_connections + settings.max_in_flight + OTHER_FILES
    allowed = _open_files(needed)
    if allowed < needed:
        log.logger.warning("descriptors.too_few", needed=needed, allowed=allowed)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(_serve(settings, reread, hardening, log))
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
            import uvloop  # noqa: PLC0415 - whoever asks for asyncio has no other loop in memory

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


async def _serve(settings: Settings, reread: Callable[[], Settings] | None, hardening: Hardening, log: Log) -> int:
    loop, main = asyncio.get_running_loop(), asyncio.current_task()
    async with Sidecar(settings, reread=reread, hardening=hardening, log=log) as sidecar:

        def told() -> None:
            if sidecar.stopping.is_set() and main is not None:
                sidecar.logger.error("sidecar.killed", in_flight=sidecar.gate.in_flight)
                main.cancel()
            sidecar.stopping.set()

        def reload() -> None:
            task = loop.create_task(sidecar.reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        reloads: set[asyncio.Task[object]] = set()
        loop.add_signal_handler(signal.SIGHUP, reload)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)
        gc.collect()
        gc.freeze()  # what the start has made lives as long as the process; the collector need not look at it again
        try:
            await sidecar.run()
            clean = await sidecar.drain()
        except KeeperDiedError as error:
            cause = type(error.__cause__).__qualname__
            sidecar.logger.critical("token.loop_died", exception=cause)
            return EXIT_FAILED
        except asyncio.CancelledError:
            return EXIT_FAILED
    sidecar.logger.info("sidecar.stopped", clean=clean)
    return EXIT_FINE if clean else EXIT_FAILED
