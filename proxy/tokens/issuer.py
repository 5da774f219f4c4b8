"""Asks Localpayment's two token endpoints.

No redirect is followed, no answer's body is quoted anywhere, and a 401 is told apart from everything else.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from proxy.http1.head_limits import MAX_FIELDS, MAX_HEAD, is_too_large
from proxy.http1.timeouts import timeout_at
from proxy.process.error_location import where
from proxy.tokens.answer_fields import http_date, seconds_to_wait
from proxy.tokens.model import Issued, UnusableTokenError, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from multidict import CIMultiDictProxy

    from proxy.clock import Clock
    from proxy.config import EgressProxy, Origin
    from proxy.credentials.model import Credentials
    from proxy.secret import Secret

LOGIN_PATH: Final = "/api/token/"
REFRESH_PATH: Final = "/api/token/refresh/"
MAX_ANSWER: Final = 64 * 1024  # bytes; DESIGN section 5
# aiohttp's own would not read what has arrived before it passes, and rounds up to whole seconds from 5 s on.
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None)
PIECE: Final = 16 * 1024  # bytes read at once
DENIED_PAUSE: Final = (
    15.0  # seconds before the next try after a 4xx that a person has to cure, such as an IP not allow-listed
)


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
    """

    result: FetchResult
    reason: str
    status: int | None = None
    retry_after: float = 0.0

    def __str__(self) -> str:
        return self.reason


class Issuer:
    """Localpayment's token endpoints, one fresh connection a call.

    A kept-alive connection that died unnoticed would lose the answer to a rotating refresh; two calls in five minutes
    do not need one.
    """

    def __init__(self, origin: Origin, clock: Clock, tls: ssl.SSLContext | None, egress: EgressProxy | None) -> None:
        self._base = str(origin)
        self._clock = clock
        self._tls = tls
        self._egress = egress if origin.tls else None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            max_headers=MAX_FIELDS,
            headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "localpayment-proxy"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

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
        if self._session is None:
            message = "the issuer is used before it is entered"
            raise RuntimeError(message)
        sent_at = self._clock.now()
        try:
            async with (
                timeout_at(asyncio.get_running_loop().time() + timeout),
                self._session.post(
                    self._base + path,
                    json=body,
                    allow_redirects=False,
                    ssl=self._tls or True,
                    timeout=_NO_TIMEOUT,
                    proxy=None if self._egress is None else str(self._egress),
                    proxy_headers=self._proxy_headers(),
                ) as answer,
            ):
                date = http_date(answer.headers.get("Date"))
                _check_status(answer.status, answer.headers, self._clock.wall() if date is None else date)
                _check_head(answer.raw_headers)
                text = await _bounded(answer.content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # aiohttp's own texts may quote what was received, so they end here.
            raise _translated(error) from None
        except FetchFailedError:
            raise
        except Exception as error:  # noqa: BLE001 - what an answer makes a library raise is not known in full
            raise unforeseen(error) from None
        return read_body(text, sent_at=sent_at, wall=self._clock.wall(), date=date)

    def _proxy_headers(self) -> dict[str, str] | None:
        if self._egress is None or self._egress.authorization is None:
            return None
        return {"Proxy-Authorization": self._egress.authorization.reveal()}


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


def _check_status(status: int, headers: CIMultiDictProxy[str], server_now: float) -> None:
    retry_after = seconds_to_wait(headers.get("Retry-After"), server_now)
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


def _check_head(fields: Iterable[tuple[bytes, bytes]]) -> None:
    if is_too_large(fields):
        reason = "the head of the token endpoint's answer is larger than 64 KiB"
        raise FetchFailedError(FetchResult.MALFORMED, reason, HTTPStatus.OK)


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    text = bytearray()
    async for chunk in stream.iter_chunked(PIECE):
        text += chunk
        if len(text) > MAX_ANSWER:
            raise FetchFailedError(
                FetchResult.MALFORMED, "the token endpoint's answer is larger than 64 KiB", HTTPStatus.OK
            )
    return bytes(text)


def _translated(error: Exception) -> FetchFailedError:
    match error:
        case TimeoutError():
            return FetchFailedError(FetchResult.TIMEOUT, "the token endpoint did not answer in time")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return FetchFailedError(FetchResult.TLS, "no trusted TLS connection to the token endpoint")
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return FetchFailedError(FetchResult.UNREACHABLE, "the egress proxy gave no way to the token endpoint")
        case aiohttp.ClientConnectorError():
            return FetchFailedError(FetchResult.UNREACHABLE, "the token endpoint cannot be reached")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            return FetchFailedError(FetchResult.MALFORMED, "the token endpoint's answer is not valid HTTP")
        case _:
            return FetchFailedError(FetchResult.UNREACHABLE, "the connection to the token endpoint was lost")


def unforeseen(error: Exception) -> FetchFailedError:
    """Return the failure that an exception means which no case foresees: its type and place, never its text."""
    reason = f"the fetch failed unforeseen: {type(error).__qualname__} in {where(error)}"
    return FetchFailedError(FetchResult.INTERNAL, reason)
