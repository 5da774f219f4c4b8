"""Checks that Localpayment accepts the account and lets it read: login, token, clock, one read call.

No answer's body is ever quoted.
"""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.cli.check.findings import FailedError, NotNeededError
from proxy.config.units import duration_text
from proxy.ops.diagnosis import Diagnosis, Failure
from proxy.tokens.issuer import FetchFailedError, FetchResult, Issuer
from proxy.tokens.model import Grant
from proxy.upstream.model import FaultKind, Limits, OutgoingRequest, UpstreamFault
from proxy.upstream.pool import Pool
from proxy.upstream.request import header_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.cli.check.context import CheckContext
    from proxy.tokens.model import Issued

READ_PATH: Final = "/api/resources/payment-methods"  # answers for every account, and shows nothing private
SHORTEST_LIFETIME: Final = 30.0  # seconds; below it a refresh has less than 10 s to succeed: DESIGN section 5
SMALLEST_SKEW: Final = 2.0  # seconds; a Date says whole ones, and the answer takes its time
LARGEST_SKEW: Final = 60.0  # seconds; a fifth of a documented token's life
REFUSALS: Final[Mapping[int, FetchResult]] = {
    HTTPStatus.UNAUTHORIZED: FetchResult.REFUSED,
    HTTPStatus.FORBIDDEN: FetchResult.DENIED,
    HTTPStatus.TOO_MANY_REQUESTS: FetchResult.THROTTLED,
}


async def log_in(context: CheckContext) -> str:
    """Exchange username and password for a token pair, once."""
    settings = context.settings
    issuer = Issuer(settings.origin, context.clock, context.tls, context.egress)
    try:
        context.issued = await issuer.log_in(context.credentials, settings.token_timeout)
    except FetchFailedError as error:
        failure = Failure(Grant.PASSWORD, error.result, error.status, error.reason, error.obstacle)
        raise context.failed(failure) from None
    return "username and password accepted"


async def judge_lifetimes(context: CheckContext) -> str:
    """Compare the tokens' lives with what renewing them needs."""
    issued = _issued(context)
    access = f"access {duration_text(round(issued.access_lifetime))}"
    if issued.access_lifetime < SHORTEST_LIFETIME:
        seen = f"{access}, shorter than {SHORTEST_LIFETIME:g} s"
        advice = "ask Localpayment for access tokens of minutes; with these, calls will wait for tokens"
        raise FailedError(Diagnosis(seen, advice))
    if issued.refresh is None:
        return f"{access}; no refresh token, so each renewal is a login"
    return f"{access}, refresh {duration_text(round(issued.refresh_lifetime))}"


async def judge_clock(context: CheckContext) -> str:
    """Compare Localpayment's Date with this machine's clock."""
    skew = _issued(context).skew
    if skew is None:
        message = "the answer to the login had no Date"
        raise NotNeededError(message)
    if abs(skew) > LARGEST_SKEW:
        seen = f"this machine's clock is {duration_text(round(abs(skew)))} {'behind' if skew > 0 else 'ahead'}"
        advice = "set it, and keep it set with NTP: certificates and the times in logs are judged by it"
        raise FailedError(Diagnosis(seen, advice))
    if abs(skew) < SMALLEST_SKEW:
        return f"within {SMALLEST_SKEW:g} s of Localpayment's"
    return f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} Localpayment's"


async def read(context: CheckContext) -> str:
    """Make one call that changes nothing, over the sidecar's own connection pool."""
    settings = context.settings
    limits = Limits(settings.connect_timeout, settings.response_timeout, settings.idle_timeout)
    token = _issued(context).access.reveal().encode("ascii")
    lines = header_lines(((b"Authorization", b"Bearer " + token), (b"Accept", b"application/json")))
    call = OutgoingRequest(b"GET", f"{READ_PATH}?country={context.country}".encode("ascii"), lines, None, effects=False)
    pool = Pool(
        settings.origin,
        limits=limits,
        ssl_context=context.tls,
        egress=context.egress,
        now=context.clock.now,
        chance=random.random,
    )
    try:
        async with await pool.send(call) as answer:
            status = answer.status
    except UpstreamFault as fault:
        malformed = fault.kind is FaultKind.MALFORMED
        result = FetchResult.MALFORMED if malformed else FetchResult.UNREACHABLE
        raise context.failed(Failure(None, result, None, fault.detail, fault.obstacle)) from None
    finally:
        await pool.close()
    result = _result(status)
    if result is not FetchResult.GRANTED:
        raise context.failed(Failure(None, result, status, f"GET {READ_PATH} failed"))
    shown = f"GET {READ_PATH} answered {status}"
    return shown if status < HTTPStatus.BAD_REQUEST else f"{shown}: permitted, but it knows no such --country"


def _result(status: int) -> FetchResult:
    """Return what an answer to the read call counts as; GRANTED if it came from behind the permission checks."""
    if status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.BAD_REQUEST:
        return FetchResult.GRANTED
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return FetchResult.SERVER_ERROR
    return REFUSALS.get(status, FetchResult.MALFORMED)


def _issued(context: CheckContext) -> Issued:
    if context.issued is None:
        message = "the login comes first"
        raise RuntimeError(message)
    return context.issued
