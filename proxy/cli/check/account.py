"""Checks that Localpayment accepts the account and lets it read: login, token, clock, one read call.

Tells a wrong password (401 at the login) from an IP that is not allow-listed or a permission that is missing (403).
No answer's body is ever quoted.
"""

from __future__ import annotations

import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, assert_never

from proxy.cli.check.findings import FailedError, NotNeededError
from proxy.cli.exits import Exit
from proxy.config.units import duration_text
from proxy.tokens.issuer import FetchFailedError, FetchResult, Issuer
from proxy.upstream.model import FaultKind, Limits, OutgoingRequest, UpstreamFault
from proxy.upstream.pool import Pool
from proxy.upstream.request import header_lines

if TYPE_CHECKING:
    from proxy.cli.check.context import CheckContext
    from proxy.tokens.model import Issued

READ_PATH: Final = "/api/resources/payment-methods"  # answers for every account, and shows nothing private
SHORTEST_LIFETIME: Final = 30.0  # seconds; below it a refresh has less than 10 s to succeed: DESIGN section 5
LARGEST_SKEW: Final = 60.0  # seconds; a fifth of a documented token's life

NOT_PERMITTED: Final = "not permitted from here, or not to this account"
ALLOW_LIST: Final = (
    "allow-list the public address of this machine, or of its egress proxy, in Localpayment's dashboard; "
    "if it is there, ask Localpayment about the account's restrictions and permissions"
)
TRY_LATER: Final = "try again in a minute; if it stays, ask Localpayment for its status"
OTHER_SERVER: Final = "check that LOCALPAYMENT_BASE_URL is Localpayment's origin"
FETCH_ADVICE: Final = {
    FetchResult.THROTTLED: (Exit.UNAVAILABLE, "wait a few minutes; stop whatever else logs in with this account"),
    FetchResult.SERVER_ERROR: (Exit.UNAVAILABLE, TRY_LATER),
    FetchResult.TIMEOUT: (Exit.UNAVAILABLE, f"{TRY_LATER}; or allow more with PROXY_TOKEN_TIMEOUT"),
    FetchResult.TLS: (Exit.UNAVAILABLE, TRY_LATER),
    FetchResult.UNREACHABLE: (Exit.UNAVAILABLE, TRY_LATER),
}


async def log_in(context: CheckContext) -> str:
    """Exchange username and password for a token pair, once."""
    settings = context.settings
    issuer = Issuer(settings.origin, context.clock, context.tls, context.egress)
    try:
        context.issued = await issuer.log_in(context.credentials, settings.token_timeout)
    except FetchFailedError as error:
        raise _login_failure(error, settings.environment) from None
    return "username and password accepted"


async def judge_lifetimes(context: CheckContext) -> str:
    """Compare the tokens' lives with what renewing them needs."""
    issued = _issued(context)
    access = f"access {duration_text(round(issued.access_lifetime))}"
    if issued.access_lifetime < SHORTEST_LIFETIME:
        seen = f"{access}, shorter than {SHORTEST_LIFETIME:g} s"
        advice = "ask Localpayment for access tokens of minutes; with these, calls will wait for tokens"
        raise FailedError(seen, advice, Exit.FAILED)
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
        raise FailedError(seen, advice, Exit.FAILED)
    return f"{skew:+.0f} s from Localpayment's"


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
        raise _fault(fault) from None
    finally:
        await pool.close()
    shown = f"GET {READ_PATH} answered {status}"
    if refusal := _refusal(status, shown):
        raise refusal
    return shown if status < HTTPStatus.BAD_REQUEST else f"{shown}: permitted, but it knows no such --country"


def _refusal(status: int, shown: str) -> FailedError | None:
    """Return what an answer to the read call says against us; None if it came from behind the permission checks."""
    match status:
        case HTTPStatus.UNAUTHORIZED:
            advice = "ask Localpayment why a token that was issued a moment ago is refused"
            return FailedError(f"{shown}: the new token was refused", advice, Exit.NO_PERMISSION)
        case HTTPStatus.FORBIDDEN:
            return FailedError(f"{shown}: {NOT_PERMITTED}", ALLOW_LIST, Exit.NO_PERMISSION)
        case _ if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return FailedError(shown, TRY_LATER, Exit.UNAVAILABLE)
        case _ if status >= HTTPStatus.MULTIPLE_CHOICES and status != HTTPStatus.BAD_REQUEST:
            return FailedError(f"{shown}, which Localpayment does not", OTHER_SERVER, Exit.FAILED)
        case _:
            return None


def _login_failure(error: FetchFailedError, environment: str) -> FailedError:
    match error.result:
        case FetchResult.REFUSED:
            seen = "wrong username or password, or an inactive account (401)"
            advice = f"compare the credentials with those of the {environment} dashboard: sandbox and production differ"
            return FailedError(seen, advice, Exit.NO_PERMISSION)
        case FetchResult.DENIED if error.status == HTTPStatus.FORBIDDEN:
            return FailedError(f"{NOT_PERMITTED} (403)", ALLOW_LIST, Exit.NO_PERMISSION)
        case FetchResult.DENIED if error.status == HTTPStatus.NOT_FOUND:
            return FailedError("wrong origin: it has no login at /api/token/ (404)", OTHER_SERVER, Exit.FAILED)
        case FetchResult.DENIED | FetchResult.MALFORMED | FetchResult.GRANTED | FetchResult.NO_PROGRESS:
            status = "" if error.status is None else f" (status {error.status})"
            return FailedError(f"no token came of it{status}: {error.reason}", OTHER_SERVER, Exit.FAILED)
        case FetchResult.INTERNAL:
            return FailedError(error.reason, "report this line as a defect of the sidecar", Exit.FAILED)
        case (
            FetchResult.THROTTLED
            | FetchResult.SERVER_ERROR
            | FetchResult.TIMEOUT
            | FetchResult.TLS
            | FetchResult.UNREACHABLE
        ):
            code, advice = FETCH_ADVICE[error.result]
            return FailedError(error.reason, advice, code)
        case never:
            assert_never(never)


def _fault(fault: UpstreamFault) -> FailedError:
    if fault.kind is FaultKind.MALFORMED:
        return FailedError(fault.detail, OTHER_SERVER, Exit.FAILED)
    return FailedError(fault.detail, TRY_LATER, Exit.UNAVAILABLE)


def _issued(context: CheckContext) -> Issued:
    if context.issued is None:
        message = "the login comes first"
        raise RuntimeError(message)
    return context.issued
