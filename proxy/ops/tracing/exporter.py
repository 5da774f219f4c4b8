"""Exports spans in a thread, from a bounded queue: no call ever waits for it.

A collector that is slow or gone costs traces, never time; lost calls are counted. OpenTelemetry is imported only when
PROXY_OTEL_ENDPOINT is set.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol

from proxy.config.files import UnusableContentError, read_headers
from proxy.ops.tracing.spans import span_endpoints, spans
from proxy.process.error_location import where
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from structlog.typing import FilteringBoundLogger

    from proxy.config import Settings
    from proxy.ops.logs.log import Log
    from proxy.ops.tracing.spans import Span, SpanEndpoints
    from proxy.relay.record import Record

    Finished = tuple[Record, float]  # a call that is over, and when it was, in seconds since the Unix epoch

# Calls that wait at most. One is about a kilobyte, so that is 2 MB: several seconds of a busy sidecar.
WAITING: Final = 2048
# Calls that are exported at once: 5 ms of CPU, which is what Python lets a thread keep the interpreter from the others.
BATCH: Final = 64
DELAY: Final = 1.0  # seconds that calls wait for others to go with


class TracingError(ValueError):
    """Traces were asked for and cannot be exported; the text says what to do."""


class Exporter(Protocol):
    """Sends spans to a collector."""

    def export(self, batch: Sequence[Span]) -> str:
        """Send them; return why that failed, in our own words, or an empty text. Blocks."""
        ...

    def close(self) -> None:
        """Stop sending."""
        ...


class Traces:
    """Queues finished calls, and has a thread export their spans.

    Args:
        exporter: takes them on.
        ends: what they share.
        logger: is told when exporting fails, and when it works again.
        waiting: calls that are held at most.
        delay: seconds that calls wait for others to go with.
    """

    def __init__(
        self,
        exporter: Exporter,
        ends: SpanEndpoints,
        logger: FilteringBoundLogger,
        *,
        waiting: int = WAITING,
        delay: float = DELAY,
    ) -> None:
        self._exporter = exporter
        self._ends = ends
        self._logger = logger
        self._waiting = waiting
        self._delay = delay
        self._queue: queue.SimpleQueue[Finished | None] = queue.SimpleQueue()
        self._refused = 0  # counted by those who call, as the next is by the thread: neither needs a lock
        self._failed = 0
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="trace exporter", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """How many calls never became spans."""
        return self._refused + self._failed

    def observe(self, record: Record, wall: float) -> None:
        """Take a call that is over, `wall` seconds after the Unix epoch; drop it when too many wait. Never blocks."""
        if record.lineage is None:
            return
        if self._queue.qsize() >= self._waiting:
            self._refused += 1
        else:
            self._queue.put((record, wall))

    def close(self, seconds: float) -> bool:
        """Export what waits, for at most so many seconds; take nothing more. Blocks.

        Returns:
            Whether everything was exported, or at least tried.
        """
        self._waiting = 0
        self._queue.put(None)
        self._thread.join(seconds)
        ended = not self._thread.is_alive()
        self._exporter.close()
        return ended

    def _run(self) -> None:
        ended = False
        while not ended:
            calls = self._batch()
            ended = calls[-1] is None
            batch = [call for call in calls if call is not None]
            if batch:
                self._export(batch)

    def _batch(self) -> list[Finished | None]:
        """Wait for a call; return it with those behind it, None at the end for the order to stop."""
        calls = [self._queue.get()]
        until = time.monotonic() + self._delay
        while calls[-1] is not None and len(calls) < BATCH:
            try:
                calls.append(self._queue.get(timeout=max(until - time.monotonic(), 0.0)))
            except queue.Empty:
                break
        return calls

    def _export(self, batch: Sequence[Finished]) -> None:
        try:
            made = [span for record, wall in batch for span in spans(record, wall, self._ends)]
            reason = self._exporter.export(made)
        except Exception as error:  # noqa: BLE001 - a defect of an exporter must not end the thread for good
            reason = f"{type(error).__qualname__} in {where(error)}"
        if reason:
            self._failed += len(batch)
            if not self._failing:
                self._logger.warning("traces.export_failed", reason=reason, calls=len(batch))
        elif self._failing:
            self._logger.info("traces.exported_again", lost=self.lost)
        self._failing = bool(reason)


def open_traces(settings: Settings, log: Log, version: str) -> Traces | None:
    """Begin to export, if the settings ask for it; blocks while modules are loaded.

    Args:
        settings: all of them.
        log: is told of failures, and learns what no line may hold.
        version: of the sidecar.

    Raises:
        TracingError: the extra is not there, or the header fields cannot be read.
    """
    if settings.otel_endpoint is None:
        return None
    try:
        headers = () if settings.otel_headers_file is None else read_headers(settings.otel_headers_file)
    except UnusableContentError as error:
        message = f"PROXY_OTEL_HEADERS_FILE={settings.otel_headers_file}: {error}"
        raise TracingError(message) from None
    for _, value in headers:
        _, _, credential = value.reveal().partition(" ")  # what stands behind a scheme, such as `Bearer`
        log.known.keep(value, Secret(credential))
    made = exporter_class()(settings.otel_endpoint.url, headers, version, settings.environment.value)
    return Traces(made, span_endpoints(settings), log.logger)


def exporter_class() -> Callable[..., Exporter]:
    """Return what exports by OTLP.

    Raises:
        TracingError: the extra `otel` is not installed.
    """
    try:
        from proxy.ops.tracing.otlp import Otlp  # noqa: PLC0415 - an extra, of 0.1 s and 10 MiB
    except ImportError:
        message = "needs the extra `otel`, which is not here: install localpayment-proxy[otel], or remove the setting"
        raise TracingError(message) from None
    return Otlp
