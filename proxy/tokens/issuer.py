"""Asks Localpayment's two token endpoints.

No redirect is followed, no answer's body is quoted anywhere, and a 401 is told apart from everything else. A fetch goes
the way that calls go, egress proxy and limits included.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, assert_never

from proxy.process.error_location import where
from proxy.tokens.model import Issued, UnusableTokenError, read_answer
from proxy.upstream.connecting.tls import tls_context
from proxy.upstream.json_client import ContentError, ask, connection_to, first_value
from proxy.upstream.model import FaultKind, Obstacle, UpstreamFault

if TYPE_CHECKING:
    import ssl

    from proxy.clock import Clock
    from proxy.config import EgressProxy, Origin
    from proxy.credentials.model import Credentials
    from proxy.secret import Secret
    from proxy.upstream.json_client import JsonAnswer

LOGIN_PATH: Final = "/api/token/"
REFRESH_PATH: Final = "/api/token/refresh/"
DENIED_PAUSE: Final = 15.0  # seconds after a 4xx that a person has to cure, such as an IP not allow-listed
_TOO_LATE: Final = "the token endpoint did not answer in time"


class FetchResult(StrEnum):
    """How a token fetch ended; label of the fetch metrics."""

    GRANTED = "granted"
    NO_PROGRESS = "no_progress"
    REFUSED = "refused"
    DENIED = "denied"
    THROTTLED = "throttled"
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"
    TIMEOUT = "timeout"
    TLS = "tls"
    UNREACHABLE = "unreachable"
    INTERNAL = "internal"


@dataclass(eq=False)
class FetchFailedError(Exception):
    """A token fetch brought no token.

    Attributes:
        result: what kind of failure; REFUSED is a definitive 401.
        reason: the same in words of ours.
        status: the HTTP status, if there was an answer.
        retry_after: seconds before another try makes sense, 0 when the server did not say.
        obstacle: what kept a connection from coming about; None when there was one.
    """

    result: FetchResult
    reason: str
    status: int | None = None
    retry_after: float = 0.0
    obstacle: Obstacle | None = None

    def __str__(self) -> str:
        return self.reason


class Issuer:
    """Localpayment's token endpoints, one fresh connection a call.

    A kept-alive connection that died unnoticed would lose the answer to a rotating refresh; two calls in five minutes
    do not need one.
    """

    def __init__(self, origin: Origin, clock: Clock, tls: ssl.SSLContext | None, egress: EgressProxy | None) -> None:
        self._origin = origin
        self._clock = clock
        self._tls = tls or (tls_context(None) if origin.tls else None)
        self._egress = egress if origin.tls else None

    def trust(self, tls: ssl.SSLContext) -> None:
        """Verify the server by another context from the next call on."""
        self._tls = tls

    async def log_in(self, credentials: Credentials, timeout: float) -> Issued:  # noqa: ASYNC109 - bounds the HTTP call
        """Exchange username and password for a pair.

        Raises:
            FetchFailedError: no token came of it.
        """
        body = {"username": credentials.username.reveal(), "password": credentials.password.reveal()}
        return await self._post(LOGIN_PATH, body, timeout)

    async def refresh(self, token: Secret, timeout: float) -> Issued:  # noqa: ASYNC109 - bounds the HTTP call
        """Exchange a refresh token for an access token.

        Raises:
            FetchFailedError: no token came of it.
        """
        return await self._post(REFRESH_PATH, {"refresh": token.reveal()}, timeout)

    async def _post(self, path: str, body: dict[str, str], timeout: float) -> Issued:  # noqa: ASYNC109 - as above
        connected = asyncio.Event()
        sent_at = self._clock.now()
        try:
            async with connection_to(self._origin, self._tls, self._clock.now, self._egress) as pool:
                answer = await ask(pool, b"POST", path, body, seconds=timeout, sending=connected.set)
        except UpstreamFault as fault:
            raise _translated(fault, self._egress) from None
        except TimeoutError:
            met = None if connected.is_set() else Obstacle.SLOW
            reason = (
                _TOO_LATE if met is None else f"no connection to the token endpoint came about within {timeout:g} s"
            )
            raise FetchFailedError(FetchResult.TIMEOUT, reason, obstacle=met) from None
        except ContentError as error:
            reason = f"the token endpoint's answer {error}"
            raise FetchFailedError(FetchResult.MALFORMED, reason, HTTPStatus.OK) from None
        except Exception as error:  # noqa: BLE001 - what an answer makes a library raise is not known in full
            raise unforeseen(error) from None
        date = http_date(first_value(answer.fields, b"date"))
        _check_status(answer, self._clock.wall() if date is None else date)
        return read_body(answer.content, sent_at=sent_at, wall=self._clock.wall(), date=date)


def read_body(text: bytes, *, sent_at: float, wall: float, date: float | None) -> Issued:
    """Read the body of a 200; the arguments are those of `read_answer`.

    Raises:
        FetchFailedError: it holds no token that could be used.
    """
    try:
        return read_answer(json.loads(text), sent_at=sent_at, wall=wall, date=date)
    except UnusableTokenError as error:
        raise FetchFailedError(FetchResult.MALFORMED, str(error), HTTPStatus.OK) from None
    except (ValueError, RecursionError):
        raise FetchFailedError(FetchResult.MALFORMED, "the answer is not JSON", HTTPStatus.OK) from None
    except Exception as error:  # noqa: BLE001 - as above
        raise unforeseen(error) from None


def _check_status(answer: JsonAnswer, server_now: float) -> None:
    status = answer.status
    retry_after = seconds_to_wait(first_value(answer.fields, b"retry-after"), server_now)
    match status:
        case HTTPStatus.OK:
            return
        case HTTPStatus.UNAUTHORIZED:
            raise FetchFailedError(FetchResult.REFUSED, "the token endpoint refused the credential", status)
        case HTTPStatus.TOO_MANY_REQUESTS:
            raise FetchFailedError(FetchResult.THROTTLED, "the token endpoint throttles us", status, retry_after)
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise FetchFailedError(FetchResult.SERVER_ERROR, "the token endpoint failed", status, retry_after)
        case _ if status >= HTTPStatus.BAD_REQUEST:
            reason = "the token endpoint denied the request; is this source IP allow-listed?"
            raise FetchFailedError(FetchResult.DENIED, reason, status, max(retry_after, DENIED_PAUSE))
        case _ if status >= HTTPStatus.MULTIPLE_CHOICES:
            reason = (
                "the token endpoint redirects, which is not followed; is LOCALPAYMENT_BASE_URL Localpayment's origin?"
            )
            raise FetchFailedError(FetchResult.MALFORMED, reason, status)
        case _:
            raise FetchFailedError(FetchResult.MALFORMED, "the token endpoint answered with an odd status", status)


def _translated(fault: UpstreamFault, egress: EgressProxy | None) -> FetchFailedError:
    met = fault.obstacle
    match fault.kind:
        case FaultKind.TIMEOUT:
            return FetchFailedError(FetchResult.TIMEOUT, _TOO_LATE)
        case FaultKind.TLS:
            reason = f"no trusted TLS connection to the token endpoint: {fault.detail}"
            return FetchFailedError(FetchResult.TLS, reason, obstacle=met)
        case FaultKind.UNREACHABLE | FaultKind.POOL | FaultKind.CLOSED if egress is not None:
            reason = f"the egress proxy gave no way to the token endpoint: {fault.detail}"
            return FetchFailedError(FetchResult.UNREACHABLE, reason, obstacle=met)
        case FaultKind.UNREACHABLE | FaultKind.POOL | FaultKind.CLOSED:
            reason = f"the token endpoint cannot be reached: {fault.detail}"
            return FetchFailedError(FetchResult.UNREACHABLE, reason, obstacle=met)
        case FaultKind.DISCONNECTED if not fault.timings.response_bytes:
            return FetchFailedError(FetchResult.UNREACHABLE, "the connection to the token endpoint was lost")
        case FaultKind.DISCONNECTED | FaultKind.MALFORMED:
            return FetchFailedError(FetchResult.MALFORMED, "the token endpoint's answer is not valid HTTP")
        case never:
            assert_never(never)


def unforeseen(error: Exception) -> FetchFailedError:
    """Return the failure that an exception means which no case foresees: its type and place, never its text."""
    reason = f"the fetch failed unforeseen: {type(error).__qualname__} in {where(error)}"
    return FetchFailedError(FetchResult.INTERNAL, reason)


def http_date(value: str | None) -> float | None:
    """Read an HTTP date (RFC 9110 section 5.6.7) as seconds since the epoch; None when there is none to read."""
    if value is None:
        return None
    try:
        date = parsedate_to_datetime(value)
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def seconds_to_wait(value: str | None, server_now: float) -> float:
    """Read a Retry-After field (RFC 9110 section 10.2.3): seconds, or a date that is compared with the server's own.

    Returns:
        Seconds, 0 when the field is absent, past or unreadable.
    """
    if value is None:
        return 0.0
    if value.isascii() and value.isdigit():
        return float(value[:9])
    date = http_date(value)
    return 0.0 if date is None else max(date - server_now, 0.0)
