"""Asks Localpayment's two token endpoints.

No redirect is followed, no answer's body is quoted anywhere, and a 401 is told apart from everything else. A fetch goes
the way that calls go, egress proxy and limits included.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, assert_never

from proxy.http1.timeouts import timeout_at
from proxy.process.error_location import where
from proxy.tokens.answer_fields import first_value, http_date, seconds_to_wait
from proxy.tokens.content_coding import decoded
from proxy.tokens.model import Issued, UnusableTokenError, read_answer
from proxy.upstream.model import FaultKind, Limits, Obstacle, OutgoingRequest, UpstreamFault
from proxy.upstream.pool import Pool
from proxy.upstream.tls import tls_context

if TYPE_CHECKING:
    import ssl

    from proxy.clock import Clock
    from proxy.config import EgressProxy, Origin
    from proxy.credentials.model import Credentials
    from proxy.secret import Secret
    from proxy.upstream.answer import Answer

LOGIN_PATH: Final = "/api/token/"
REFRESH_PATH: Final = "/api/token/refresh/"
MAX_ANSWER: Final = 64 * 1024  # bytes; DESIGN section 5
DENIED_PAUSE: Final = (
    15.0  # seconds before the next try after a 4xx that a person has to cure, such as an IP not allow-listed
)
_FIELDS: Final = (
    b"Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: localpayment-proxy\r\n"
    b"Content-Type: application/json\r\n"
)
_A_DAY: Final = 86_400.0  # seconds; a fetch is bounded as a whole, so no step of it has a bound that comes first
_TOO_LATE: Final = "the token endpoint did not answer in time"
_LIMITS: Final = Limits(connect_timeout=_A_DAY, response_timeout=_A_DAY, idle_timeout=_A_DAY, max_connections=1)


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
        content = json.dumps(body).encode()
        call = OutgoingRequest(b"POST", path.encode(), _FIELDS, content, effects=True, sending=connected.set)
        sent_at = self._clock.now()
        pool = self._connection()
        try:
            async with timeout_at(asyncio.get_running_loop().time() + timeout), await pool.send(call) as answer:
                date = http_date(first_value(answer.headers, b"date"))
                _check_status(answer, self._clock.wall() if date is None else date)
                text = await _content(answer)
        except UpstreamFault as fault:
            raise _translated(fault, self._egress) from None
        except TimeoutError:
            met = None if connected.is_set() else Obstacle.SLOW
            reason = (
                _TOO_LATE if met is None else f"no connection to the token endpoint came about within {timeout:g} s"
            )
            raise FetchFailedError(FetchResult.TIMEOUT, reason, obstacle=met) from None
        except FetchFailedError:
            raise
        except Exception as error:  # noqa: BLE001 - what an answer makes a library raise is not known in full
            raise unforeseen(error) from None
        finally:
            await pool.close()
        return read_body(text, sent_at=sent_at, wall=self._clock.wall(), date=date)

    def _connection(self) -> Pool:
        """Return a pool for one call, and so a connection of its own."""
        return Pool(
            self._origin,
            limits=_LIMITS,
            ssl_context=self._tls,
            egress=self._egress,
            now=self._clock.now,
            chance=float,
        )


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


def _check_status(answer: Answer, server_now: float) -> None:
    status = answer.status
    retry_after = seconds_to_wait(first_value(answer.headers, b"retry-after"), server_now)
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


async def _content(answer: Answer) -> bytes:
    """Return the body without its content coding; never read more than may be."""
    body = bytearray()
    async for piece in answer:
        body += piece
        _check_size(body)
    try:
        content = decoded(bytes(body), first_value(answer.headers, b"content-encoding"), MAX_ANSWER + 1)
    except ValueError:
        reason = "the token endpoint's answer has a content coding that cannot be undone"
        raise FetchFailedError(FetchResult.MALFORMED, reason, HTTPStatus.OK) from None
    _check_size(content)
    return content


def _check_size(content: bytes | bytearray) -> None:
    if len(content) > MAX_ANSWER:
        reason = "the token endpoint's answer is larger than 64 KiB"
        raise FetchFailedError(FetchResult.MALFORMED, reason, HTTPStatus.OK)


def _translated(fault: UpstreamFault, egress: EgressProxy | None) -> FetchFailedError:
    met = fault.obstacle
    match fault.kind:
        case FaultKind.TIMEOUT:
            return FetchFailedError(FetchResult.TIMEOUT, _TOO_LATE)
        case FaultKind.TLS:
            reason = f"no trusted TLS connection to the token endpoint: {fault.detail}"
            return FetchFailedError(FetchResult.TLS, reason, obstacle=met)
        case FaultKind.UNREACHABLE | FaultKind.POOL if egress is not None:
            reason = f"the egress proxy gave no way to the token endpoint: {fault.detail}"
            return FetchFailedError(FetchResult.UNREACHABLE, reason, obstacle=met)
        case FaultKind.UNREACHABLE | FaultKind.POOL:
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
