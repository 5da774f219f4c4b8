"""Lists the options in force that weaken the sidecar. Each is a warning at the start and a metric; none is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.config import Environment, EnvironmentSource, TcpAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.config import Listen, Settings

# Seconds. Docker and Kubernetes kill 10 and 30 s after SIGTERM; a shorter drain cuts calls that an answer is due for.
_ANSWERS_TAKE: Final = 5.0


class Risk(NamedTuple):
    """An option that weakens the sidecar.

    Attributes:
        option: the value of the metric's label.
        text: what may happen, and what to do about it.
        taken: whether settings take it.
    """

    option: str
    text: str
    taken: Callable[[Settings], bool]


def _is_remote(listen: Listen) -> bool:
    return isinstance(listen, TcpAddress) and not listen.is_loopback


def _is_production(settings: Settings) -> bool:
    return settings.environment is Environment.PRODUCTION


_RISKS: Final = (
    Risk(
        "remote_data",
        "PROXY_LISTEN is reachable from other machines: each of them can spend the account's money. "
        "Ask for client certificates (PROXY_TLS_CLIENT_CA_FILE), listen on loopback or on a Unix socket, or let "
        "the network keep strangers out.",
        lambda settings: _is_remote(settings.listen) and settings.tls_client_ca_file is None,
    ),
    Risk(
        "remote_admin",
        "PROXY_ADMIN_LISTEN is reachable from other machines: each of them can end the sidecar. "
        "Set PROXY_ADMIN_KEY_FILE, or let the network keep strangers out.",
        lambda settings: _is_remote(settings.admin_listen),
    ),
    Risk(
        "plain_upstream",
        "LOCALPAYMENT_BASE_URL is http: credentials cross in clear. Only a local simulator needs that.",
        lambda settings: not settings.origin.tls,
    ),
    Risk(
        "password_in_environment",
        "The password stands in the environment, which pod specifications, `docker inspect` and unit files show: "
        "mount it, and name the file in LOCALPAYMENT_PASSWORD_FILE.",
        lambda settings: _is_production(settings) and isinstance(settings.credentials, EnvironmentSource),
    ),
    Risk(
        "no_policy",
        "No PROXY_POLICY_FILE is set, so every caller may do every operation, payouts too: "
        "write a policy that allows what callers need.",
        lambda settings: _is_production(settings) and settings.policy_file is None,
    ),
    Risk(
        "browsers_allowed",
        "PROXY_ALLOW_BROWSERS lets every page that a browser on this network opens call Localpayment: set it to "
        "false, and call from a server.",
        lambda settings: settings.allow_browsers,
    ),
    Risk(
        "no_hardening",
        "PROXY_HARDENING is off: a flaw in the sidecar would reach every file that its user may. Set it to auto.",
        lambda settings: settings.hardening == "off",
    ),
    Risk(
        "short_drain",
        "PROXY_DRAIN_TIMEOUT is so short that a stop cuts calls whose answers are on their way: give it 25s.",
        lambda settings: settings.drain_timeout < _ANSWERS_TAKE,
    ),
)

OPTIONS: Final = tuple(risk.option for risk in _RISKS)


def risks(settings: Settings) -> tuple[Risk, ...]:
    """Return the risks that these settings take."""
    return tuple(risk for risk in _RISKS if risk.taken(settings))
