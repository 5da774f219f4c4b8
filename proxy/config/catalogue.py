"""Which settings are there? One table, the source of names, defaults and documentation alike.

A default is written as an operator would write it, and is read by the same code.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

CONFIG_FILE = "PROXY_CONFIG_FILE"
SANDBOX_URL = "https://api.stage.localpayment.com"  # Localpayment's documentation

PREFIXES = ("LOCALPAYMENT_", "PROXY_")

# What Kubernetes puts into every container of a namespace that has a Service named `proxy` or `localpayment-…`
# (kubernetes.io/docs/concepts/services-networking/service, environment variables): not ours, and no mistake.
_SERVICE_LINK = re.compile(r".+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        variable: its name in the environment; in lower case, its key in the TOML file.
        kind: what its value looks like, in words.
        default: what holds when it is not set, as it would be written; None when nothing does.
        meaning: what it decides.
        secret: whether its value is never shown.
        note: said of the default where none can be written, such as `required`.
    """

    variable: str
    kind: str
    default: str | None
    meaning: str
    secret: bool = False
    note: str = "not set"

    @property
    def key(self) -> str:
        """Its key in the TOML file."""
        return self.variable.lower()


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that are read together."""

    title: str
    settings: tuple[Setting, ...]


SECTIONS = (
    Section(
        "Localpayment",
        (
            Setting(
                "LOCALPAYMENT_ENVIRONMENT",
                "`sandbox` or `production`",
                None,
                "Which Localpayment the credentials belong to.",
                note="required",
            ),
            Setting(
                "LOCALPAYMENT_BASE_URL",
                "origin",
                None,
                "Where calls go. `https` only, `http` to loopback alone. A production environment with the stage host, "
                "or the reverse, is refused.",
                note=f"`{SANDBOX_URL}` for the sandbox, required for production",
            ),
        ),
    ),
    Section(
        "Credentials: exactly one source",
        (
            Setting("LOCALPAYMENT_USERNAME", "text", None, "The account's username. Never shown.", secret=True),
            Setting(
                "LOCALPAYMENT_USERNAME_FILE",
                "path",
                None,
                "A file that holds the username and nothing else; read again when it changes.",
            ),
            Setting("LOCALPAYMENT_PASSWORD", "text", None, "The account's password. Never shown.", secret=True),
            Setting(
                "LOCALPAYMENT_PASSWORD_FILE",
                "path",
                None,
                "A file that holds the password and nothing else; read again when it changes.",
            ),
        ),
    ),
    Section(
        "Listening",
        (
            Setting(
                "PROXY_LISTEN",
                "`host:port` or `unix:/path`",
                "127.0.0.1:8080",
                "Where callers connect. A Unix socket has mode 0660. Port 0 lets the kernel choose.",
            ),
            Setting(
                "PROXY_ADMIN_LISTEN",
                "`host:port` or `unix:/path`",
                "127.0.0.1:8081",
                "Where health, metrics and status are served.",
            ),
            Setting(
                "PROXY_ALLOW_REMOTE",
                "`true` or `false`",
                "false",
                "Lets other machines reach the listeners. Without it an address beyond loopback is refused.",
            ),
            Setting(
                "PROXY_ALLOWED_HOSTS",
                "host names, separated by commas",
                None,
                "Hosts that callers may name in the Host field, whatever the port; an IPv6 address in brackets. "
                "Stops DNS rebinding.",
                note="the loopback names and the listen address",
            ),
            Setting(
                "PROXY_POLICY_FILE",
                "path",
                None,
                "The policy: which caller may do which operation.",
                note="every operation but the token endpoints",
            ),
            Setting("PROXY_MAX_IN_FLIGHT", "number", "512", "Calls relayed at once. Above it 503, at once."),
        ),
    ),
    Section(
        "Sizes",
        (
            Setting("PROXY_MAX_REQUEST_BODY", "size", "32MiB", "A larger request body is refused with 413."),
            Setting(
                "PROXY_REPLAY_BUFFER",
                "size, or `0B`",
                "1MiB",
                "A request body up to this size is held, so that the call can be sent again after a 401.",
            ),
        ),
    ),
    Section(
        "Times",
        (
            Setting("PROXY_CONNECT_TIMEOUT", "duration", "5s", "For name, TCP, egress proxy and TLS together."),
            Setting("PROXY_RESPONSE_TIMEOUT", "duration", "60s", "From the request's last byte to the answer's first."),
            Setting("PROXY_IDLE_TIMEOUT", "duration", "60s", "Between two bytes of a body."),
            Setting("PROXY_TOKEN_WAIT", "duration", "2.5s", "How long a call waits for a token before it gets 503."),
            Setting("PROXY_TOKEN_TIMEOUT", "duration", "5s", "For one call of a token endpoint."),
            Setting("PROXY_HEADER_TIMEOUT", "duration", "10s", "For a caller to send the head of its request."),
            Setting(
                "PROXY_EFFECTS_IDLE",
                "duration, or `0s`",
                "2s",
                "A call that moves money or changes state never rides a connection that was idle for longer; "
                "`0s` gives each a new one.",
            ),
        ),
    ),
    Section(
        "Stopping",
        (
            Setting(
                "PROXY_DRAIN_DELAY",
                "duration, or `0s`",
                "0s",
                "From becoming unready to refusing new calls: the time that a load balancer needs to notice.",
            ),
            Setting("PROXY_DRAIN_TIMEOUT", "duration, or `0s`", "25s", "How long calls in flight get to finish."),
        ),
    ),
    Section(
        "The way to Localpayment",
        (
            Setting(
                "PROXY_UPSTREAM_CA_FILE",
                "path",
                None,
                "PEM file of the CA certificates that are trusted instead of the system's.",
                note="the system's CA certificates",
            ),
            Setting(
                "PROXY_EGRESS_PROXY",
                "`http://host:port`",
                None,
                "HTTP proxy through which Localpayment is reached (CONNECT); `http://user:password@host:port` for "
                "basic authentication, both percent-encoded and never shown.",
                secret=True,
                note="none",
            ),
        ),
    ),
    Section(
        "Logs",
        (
            Setting(
                "PROXY_LOG_LEVEL", "`debug`, `info`, `warning` or `error`", "info", "The least severe level written."
            ),
            Setting(
                "PROXY_LOG_FORMAT",
                "`json` or `console`",
                None,
                "One JSON object a line, or text for people.",
                note="`console` on a terminal, else `json`",
            ),
        ),
    ),
    Section(
        "The settings file",
        (
            Setting(
                CONFIG_FILE,
                "path",
                None,
                "A TOML file with these settings, their names in lower case; the environment wins. "
                "Set in the environment only.",
                note="none",
            ),
        ),
    ),
)

SETTINGS = {setting.variable: setting for section in SECTIONS for setting in section.settings}


def is_service_link(variable: str, value: str) -> bool:
    """Whether Kubernetes made a variable for a Service of the same namespace."""
    if _SERVICE_LINK.fullmatch(variable) is not None:
        return True
    return variable.endswith("_PORT") and _SERVICE_URL.match(value) is not None


def near_miss(name: str) -> str | None:
    """Return the variable that a wrong name most likely means, or None."""
    variable = name.upper()
    ending = variable
    for prefix in PREFIXES:
        ending = ending.removeprefix(prefix)
    for candidate in (variable, *(prefix + ending for prefix in PREFIXES)):
        if candidate in SETTINGS:
            return candidate
    return next(iter(difflib.get_close_matches(variable, SETTINGS, n=1, cutoff=0.8)), None)
