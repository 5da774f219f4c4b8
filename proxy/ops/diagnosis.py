"""Says of a failure on the way to Localpayment what its cause is, and what to do next. Pure.

`check --live`, the status page, `status` and `/readyz` all ask here, so that they give the same answer. No text of an
answer is ever quoted.
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.config.addresses import bracketed
from proxy.tokens.issuer import FetchResult
from proxy.tokens.model import Grant
from proxy.upstream.model import Obstacle

if TYPE_CHECKING:
    from typing import Self

    from proxy.config import Settings


class Blame(Enum):
    """What kind of failure it is; `check` ends with an exit code for each."""

    WAY = "the way there, or Localpayment itself"
    PERMISSION = "login or permission"
    OTHER = "anything else"


_ALLOW_LIST: Final = (
    "allow-list the public address of this machine, or of its egress proxy, in Localpayment's dashboard; "
    "if it is there, ask Localpayment about the account's restrictions and permissions"
)
_TRY_LATER: Final = "wait a minute; if it stays, ask Localpayment for its status"
_OTHER_SERVER: Final = "check that LOCALPAYMENT_BASE_URL is Localpayment's origin"
_FIREWALL: Final = "allow outgoing TCP to {host} port {port} in the firewall, or check {variable}"
_EGRESS_ANSWER: Final = "check that PROXY_EGRESS_PROXY names an HTTP proxy, and its log"
_HANDSHAKE: Final = "check that LOCALPAYMENT_BASE_URL's port speaks TLS, and what stands in between"
_OBSTACLES: Final = {
    Obstacle.NAME: "check {variable}, and that this machine's resolver knows the name",
    Obstacle.REFUSED: "check {variable}; nothing listens there",
    Obstacle.NO_ROUTE: _FIREWALL,
    Obstacle.SLOW: _FIREWALL,
    Obstacle.NO_DESCRIPTORS: "raise `ulimit -n`, or lower PROXY_MAX_CONNECTIONS",
    Obstacle.EGRESS_LOGIN: "check user and password in PROXY_EGRESS_PROXY",
    Obstacle.EGRESS_DENIES: "have the egress proxy allow CONNECT to {origin}",
    Obstacle.EGRESS_ANSWER: _EGRESS_ANSWER,
    Obstacle.NOT_VALID_YET: "the certificate is not valid yet: set this machine's clock",
    Obstacle.EXPIRED: "the certificate has expired: check this machine's clock first, else tell Localpayment",
    Obstacle.OTHER_HOST: "the certificate is for another host: check LOCALPAYMENT_BASE_URL, and where its name leads",
    Obstacle.UNTRUSTED: "something between here and Localpayment may break TLS open (a corporate proxy), or the trust "
    "store is old; set PROXY_UPSTREAM_CA_FILE to the PEM file of the authority that you trust, or update "
    "ca-certificates",
    Obstacle.ALERT: _HANDSHAKE,
    Obstacle.HANDSHAKE: _HANDSHAKE,
}
# By what was refused: a login, a refresh, a call.
_REFUSED: Final = {
    Grant.PASSWORD: (
        "wrong username or password, or an inactive account",
        "compare the credentials with those of the {environment} dashboard: sandbox and production differ",
    ),
    Grant.REFRESH: ("the refresh token was refused", "nothing yet: a login follows"),
    None: (
        "Localpayment's API refuses the access token",
        "ask Localpayment why a token that was issued a moment ago is refused",
    ),
}
_RESULTS: Final = {
    FetchResult.THROTTLED: ("wait a few minutes; stop whatever else logs in with this account", Blame.WAY),
    FetchResult.SERVER_ERROR: (_TRY_LATER, Blame.WAY),
    FetchResult.TIMEOUT: (f"{_TRY_LATER}; or allow more with PROXY_TOKEN_TIMEOUT", Blame.WAY),
    FetchResult.TLS: (_TRY_LATER, Blame.WAY),
    FetchResult.UNREACHABLE: (_TRY_LATER, Blame.WAY),
    FetchResult.INTERNAL: ("report this line as a defect of the sidecar", Blame.OTHER),
    FetchResult.DENIED: (_OTHER_SERVER, Blame.OTHER),
    FetchResult.MALFORMED: (_OTHER_SERVER, Blame.OTHER),
    FetchResult.NO_PROGRESS: (_OTHER_SERVER, Blame.OTHER),
    FetchResult.GRANTED: ("", Blame.OTHER),
}


class Diagnosis(NamedTuple):
    """A cause, and what to do next."""

    cause: str
    advice: str
    blame: Blame = Blame.OTHER


class Failure(NamedTuple):
    """What went wrong.

    Attributes:
        grant: of the token fetch; None for a call.
        result: how it ended; that of a call is named as a fetch's.
        status: of the answer, None without one.
        reason: the same in words of ours.
        obstacle: what kept a connection from coming about; None when there was one.
    """

    grant: Grant | None
    result: FetchResult
    status: int | None = None
    reason: str = ""
    obstacle: Obstacle | None = None


class Site(NamedTuple):
    """Where the sidecar goes: what advice names.

    Attributes:
        environment: `sandbox` or `production`.
        host, port: what is dialled.
        variable: the setting that names it.
        origin: host and port that an egress proxy is asked for.
    """

    environment: str
    host: str
    port: int
    variable: str
    origin: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say; a plain origin is on this machine, so no egress proxy leads there."""
        origin, egress = settings.origin, settings.egress_proxy if settings.origin.tls else None
        authority = f"{bracketed(origin.host)}:{origin.port}"
        if egress is None:
            return cls(settings.environment.value, origin.host, origin.port, "LOCALPAYMENT_BASE_URL", authority)
        return cls(settings.environment.value, egress.host, egress.port, "PROXY_EGRESS_PROXY", authority)


def diagnose(failure: Failure, site: Site) -> Diagnosis:
    """Return the cause of a failure, and what to do next."""
    if failure.obstacle is not None:
        advice = _OBSTACLES[failure.obstacle]
        named = advice.format(host=site.host, port=site.port, variable=site.variable, origin=site.origin)
        return Diagnosis(failure.reason, named, Blame.WAY)
    answered = "" if failure.status is None else f" ({failure.status})"
    match failure.result, failure.status:
        case FetchResult.REFUSED, _:
            cause, advice = _REFUSED[failure.grant]
            return Diagnosis(f"{cause} (401)", advice.format(environment=site.environment), Blame.PERMISSION)
        case FetchResult.DENIED, HTTPStatus.FORBIDDEN:
            cause = f"not permitted from here, or not to this account{answered}"
            return Diagnosis(cause, _ALLOW_LIST, Blame.PERMISSION)
        case FetchResult.DENIED, HTTPStatus.NOT_FOUND if failure.grant is not None:
            return Diagnosis(f"wrong origin: it has no login at /api/token/{answered}", _OTHER_SERVER)
        case result, _:
            advice, blame = _RESULTS[result]
            return Diagnosis(failure.reason + answered, advice, blame)
