"""Logs calls, token fetches and changes of credentials; a relayed call is exactly one line."""

from __future__ import annotations

import logging
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Final

from proxy.credentials.watch import Recovered, Reloaded, ReloadFailed
from proxy.errors import UNSETTLED
from proxy.http1.header_cache import keep
from proxy.ops.logs.call_line import call_line, form
from proxy.ops.logs.log import moment
from proxy.process.error_location import where
from proxy.relay.record import MOST_SHAPES, call_shape
from proxy.relay.request.trace_context import OwnId
from proxy.tokens.issuer import FetchResult

if TYPE_CHECKING:
    from proxy.credentials.watch import Event
    from proxy.ops.logs.call_line import Form
    from proxy.ops.logs.log import Log
    from proxy.relay.record import CallShape, Record
    from proxy.relay.request.request_line import WrongProtocol
    from proxy.tokens.keeper import TokenDisputed, TokenFetched
    from proxy.tokens.lifecycle_steps import State

_LEVELS: Final = {logging.INFO: "info", logging.WARNING: "warning"}
_MINUTE: Final = 60.0  # seconds
_MILLI: Final = 1000.0
_SERVER_ERROR: Final = 500  # RFC 9110 section 15.6


class Events:
    """Logs calls, token fetches and changes of credentials."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._logger = log.logger
        self._threshold = log.threshold
        self._is_json = log.is_json
        self._forms: dict[CallShape, Form] = {}
        self._state: State | None = None
        self._logged_at: dict[str, float] = {}

    def observe(self, record: Record, at: float) -> None:
        """Log a request that ended `at` seconds since the epoch, and what about it is unusual."""
        if self._is_json:
            self._observe_json(record, at)
        else:
            self._logger.log(_severity(record), _event(record), **call_facts(record))
        if record.echoed:
            facts = {"request_id": record.request_id, "operation": record.operation, "place": record.echoed}
            self._logger.error("token.echoed", **facts, token_generation=record.generation)
        if record.mesh_attempt > 1:
            facts = {"request_id": record.request_id, "operation": record.operation, "outcome": record.outcome.value}
            self._logger.warning("request.repeated_by_mesh", **facts, mesh_attempt=record.mesh_attempt)

    def _observe_json(self, record: Record, at: float) -> None:
        calls = call_shape(record)
        shared = self._forms.get(calls) or keep(self._forms, calls, _form(record), most=MOST_SHAPES)
        if self._threshold.lets(shared.severity):
            self._log.put(call_line(moment(at), shared, record, self._quoted(record.request_id)))

    def _quoted(self, request_id: str) -> str:
        """Put it in quotes, as JSON does; what a caller chose is masked first."""
        if type(request_id) is OwnId:
            return '"' + request_id + '"'
        return encode_basestring(self._log.known.redacted(request_id))

    def fetched(self, report: TokenFetched) -> None:
        """Log a token fetch."""
        facts = {"grant": report.grant.value, "result": report.result.value, "fetch_ms": milliseconds(report.seconds)}
        if report.result is FetchResult.GRANTED:
            skew = None if report.skew is None else round(report.skew, 1)
            headroom = None if report.headroom is None else round(report.headroom, 1)
            self._logger.info(
                "token.refreshed",
                **facts,
                token_generation=report.generation,
                headroom_s=headroom,
                clock_skew_s=skew,
                next_in_s=round(report.retry_in, 1),
                offered=report.offered,
            )
            return
        refused = report.result is FetchResult.REFUSED
        self._logger.log(
            logging.ERROR if refused else logging.WARNING,
            "token.fetch_failed",
            **facts,
            status=report.status,
            reason=report.reason,
            fault="credentials" if refused else "upstream",
            retry_in_s=round(report.retry_in, 3),
            offered=report.offered,
        )

    def disputed(self, report: TokenDisputed) -> None:
        """Log that the API refused a token."""
        facts = {"token_generation": report.generation, "renewing": report.renewing, "lagging": report.lagging}
        self._logger.warning("token.disputed", **facts)

    def state(self, state: State) -> None:
        """Log a change of the token's state."""
        if state is not self._state:
            before, self._state = self._state, state
            self._logger.info("token.state_changed", was=None if before is None else before.value, state=state.value)

    def credentials(self, event: Event) -> None:
        """Log what a look at the source of the credentials found."""
        match event:
            case Reloaded():
                self._logger.info("credentials.changed")
            case Recovered():
                self._logger.info("credentials.readable_again")
            case ReloadFailed():
                self._logger.warning("credentials.reload_failed", reason=event.reason, failures=event.failures)

    def wrong_protocol(self, came: WrongProtocol, at: float) -> None:
        """Log a caller that speaks another protocol; once a minute for each protocol, since callers try again."""
        if self._first_in_a_minute(f"caller.wrong_protocol {came.value}", at):
            self._logger.warning("caller.wrong_protocol", came=came.value, fix=came.fix)

    def accept_paused(self, listener: str, reason: str, at: float) -> None:
        """Log that a listener accepts no connections, once a minute at most."""
        if self._first_in_a_minute(f"listener.paused {listener}", at):
            self._logger.error("listener.paused", listener=listener, reason=reason)

    def _first_in_a_minute(self, fact: str, at: float) -> bool:
        """Whether a fact was not logged within the last minute; a clock that was set back logs it again."""
        first = abs(at - self._logged_at.get(fact, -_MINUTE)) >= _MINUTE
        if first:
            self._logged_at[fact] = at
        return first

    def failed(self, error: BaseException) -> None:
        """Log a failure of the sidecar itself: type and location, never the text."""
        self._logger.error("request.failed", exception=type(error).__qualname__, where=where(error))


def _event(record: Record) -> str:
    return "request.relayed" if record.attempts else "request.refused"


def _form(record: Record) -> Form:
    severity = _severity(record)
    return form(severity, _LEVELS[severity], _event(record), record)


def _severity(record: Record) -> int:
    """A call whose fate is open, or that the sidecar could not pass on, deserves a look."""
    ours = bool(record.code) and record.status >= _SERVER_ERROR
    return logging.WARNING if ours or record.outcome in UNSETTLED else logging.INFO


def call_facts(record: Record) -> dict[str, object]:
    """Return what a call's line holds, in the order in which it is read."""
    reported = {"policy": record.policy} if record.policy else {}
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
        **reported,
    }


def milliseconds(seconds: float) -> float:
    """Round to microseconds, in milliseconds."""
    return round(seconds * _MILLI, 3)
