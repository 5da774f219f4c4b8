"""What is written to the log? One JSON object a line on stdout: facts with units, never a header, a body or a path.

What other libraries log passes here too, without its arguments: aiohttp's and asyncio's texts may quote what was sent.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final, Literal, TextIO

import structlog

from proxy.errors import Fault, Outcome
from proxy.tokens.issuer import FetchResult

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

    from proxy.relay.record import Record
    from proxy.tokens.keeper import Disputed, Fetched

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_MILLI: Final = 1000.0
_UNSETTLED: Final = frozenset((Outcome.UNKNOWN, Outcome.ABORTED, Outcome.ORPHANED))


def open_log(
    level: str, style: Literal["json", "console"] | None, stream: TextIO | None = None
) -> FilteringBoundLogger:
    """Return the logger, and send what the standard library's loggers get through it.

    Args:
        level: least severe level that is written.
        style: None chooses console for a terminal and JSON for anything else.
        stream: where to write, stdout by default.
    """
    out = sys.stdout if stream is None else stream
    console = out.isatty() if style is None else style == "console"
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty()) if console else structlog.processors.JSONRenderer()
    )
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries(logger)
    return logger


class CallLog:
    """The lines about calls and tokens."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        self._logger = logger

    def observe(self, record: Record) -> None:
        """Write the one line of a request that is over."""
        level = logging.WARNING if record.outcome in _UNSETTLED else logging.INFO
        event = "request.relayed" if record.attempts else "request.refused"
        self._logger.log(level, event, **call_facts(record))

    def fetched(self, report: Fetched) -> None:
        """Write that a token fetch ended."""
        facts = {"grant": report.grant.value, "result": report.result.value, "fetch_ms": milliseconds(report.seconds)}
        if report.result is FetchResult.GRANTED:
            skew = None if report.skew is None else round(report.skew, 1)
            self._logger.info("token.refreshed", **facts, token_generation=report.generation, clock_skew_s=skew)
            return
        level = logging.ERROR if report.result is FetchResult.REFUSED else logging.WARNING
        self._logger.log(
            level,
            "token.fetch_failed",
            **facts,
            status=report.status,
            reason=report.reason,
            fault=Fault.CREDENTIALS.value if report.result is FetchResult.REFUSED else Fault.UPSTREAM.value,
            retry_in_s=round(report.retry_in, 3),
        )

    def disputed(self, report: Disputed) -> None:
        """Write that the API refused a token."""
        self._logger.warning("token.disputed", token_generation=report.generation, renewing=report.renewing)

    def failed(self, error: BaseException) -> None:
        """Write that the sidecar itself failed: where and with what type, never with what text."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = None if trace is None else f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
        self._logger.error("request.failed", exception=type(error).__qualname__, where=where)


def call_facts(record: Record) -> dict[str, object]:
    """Return what a call's line holds, in the order in which it is read."""
    return {
        "request_id": record.request_id,
        "trace_id": record.trace_id,
        "caller": record.caller,
        "method": record.method,
        "operation": record.operation,
        "status": record.status,
        "outcome": record.outcome.value,
        "code": record.code or None,
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
        "total_ms": milliseconds(record.total_seconds),
        "upstream_ms": milliseconds(record.upstream_seconds),
        "own_ms": milliseconds(record.own_seconds),
        "attempts": record.attempts,
        "token_generation": record.generation,
    }


def milliseconds(seconds: float) -> float:
    """Round to microseconds, in milliseconds."""
    return round(seconds * _MILLI, 3)


class _Adopted(logging.Handler):
    """A standard handler that passes on who spoke and how severely, but not with what arguments."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        kind = record.exc_info[0] if record.exc_info else None
        self._logger.log(
            record.levelno,
            "library.logged",
            logger=record.name,
            template=str(record.msg)[:80] if record.name != "asyncio" else "asyncio",
            exception=None if kind is None else kind.__qualname__,
        )


def _adopt_libraries(logger: FilteringBoundLogger) -> None:
    root = logging.getLogger()
    root.handlers = [_Adopted(logger)]
    root.setLevel(logging.WARNING)
    quoting = logging.getLogger("aiohttp")
    quoting.handlers = [logging.NullHandler()]
    quoting.propagate = False
