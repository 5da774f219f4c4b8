"""Declares the settings: one frozen value, or the list of mistakes when there is none.

A setting is declared here, or in `credential_sources`, and nowhere else; the order is that of the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from proxy.config import parsing
from proxy.config.ledger_place import ledger_place
from proxy.config.setting import (
    AGE,
    CERTIFICATES_FILE,
    COUNT,
    DURATION,
    DURATION_OR_ZERO,
    FLAG,
    HEADERS_FILE,
    ORIGIN,
    SECRET_FILE,
    SIZE,
    SIZE_OR_ZERO,
    TEXT_FILE,
    Kind,
    choice,
    declared,
    optional,
    setting,
)

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.config.addresses import Collector, EgressProxy, Listen, Origin, RequiredHeader
    from proxy.config.credential_sources import CredentialSource
    from proxy.config.ledger_place import LedgerPlace

SANDBOX_URL: Final = "https://api.stage.localpayment.com"  # Localpayment's documentation

_ADDRESS: Final = Kind("`host:port` or `unix:/path`", parsing.listen)
_AUDIT_LOG: Final = Kind("path, or `stdout`", parsing.audit_log)
_COLLECTOR: Final = Kind("URL", parsing.collector)
_EGRESS: Final = Kind("`http://host:port`", parsing.egress_proxy, lambda proxy: proxy.redacted)
_HEADER: Final = Kind("`Name: value`", parsing.required_header)
_HOSTS: Final = Kind("host names, separated by commas", parsing.hosts, lambda hosts: ",".join(sorted(hosts)))
_LEDGER: Final = Kind("`sqlite:/path`, `postgresql://…` or `off`", ledger_place)
LogLevel = Literal["debug", "info", "warning", "error"]
_LOG_LEVEL: Final[Kind[LogLevel]] = choice("debug", "info", "warning", "error")


class Environment(StrEnum):
    """Which Localpayment: play money or real."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, checked. Times are seconds, sizes are bytes; what may be None says in its note what then holds.

    Attributes:
        origin: Localpayment's API, pinned for the process's life.
        credentials: where username and password come from.
        allowed_hosts: lower case, without port, an IPv6 address in brackets.
        warnings: what the operator should change before the next release.
    """

    # fmt: off
    environment: Environment = setting("LOCALPAYMENT_ENVIRONMENT", choice(*Environment), "",
        "Which Localpayment the credentials belong to.", section="Localpayment", note="required",
        needed="write sandbox or production")
    origin: Origin = setting("LOCALPAYMENT_BASE_URL", ORIGIN, "",
        "Where calls go: `https`, or `http` to loopback. The stage host in production, or the reverse, is refused.",
        note=f"`{SANDBOX_URL}` for the sandbox, required for production", otherwise=parsing.origin(SANDBOX_URL))
    credentials: CredentialSource = declared()
    credentials_interval: float | None = optional("LOCALPAYMENT_CREDENTIALS_INTERVAL", DURATION,
        "The time between two looks at the source. `POST /-/reload` looks now.",
        section="Credentials: reading them again", note="`5s` for files, `5m` for the others")
    listen: Listen = setting("PROXY_LISTEN", _ADDRESS, "127.0.0.1:8080",
        "Where callers connect. A Unix socket has mode 0660. `[::]`: every address, of IPv4 too. Port 0: the kernel "
        "chooses a free port, and `sidecar.started` in the log names it.", section="Listening")
    admin_listen: Listen = setting("PROXY_ADMIN_LISTEN", _ADDRESS, "127.0.0.1:8081",
        "Where health, metrics and status are served. Port 0 as above; `healthcheck` and other commands then "
        "cannot find it.")
    admin_key_file: Path | None = optional("PROXY_ADMIN_KEY_FILE", SECRET_FILE,
        "A file with a key of at least 16 characters, which admin commands (`POST /-/…`) carry as "
        "`Authorization: Bearer "
        "KEY`.", note="every client may give commands")
    allow_remote: bool = setting("PROXY_ALLOW_REMOTE", FLAG, "false",
        "Allows listeners beyond loopback.")
    allowed_hosts: frozenset[str] | None = optional("PROXY_ALLOWED_HOSTS", _HOSTS,
        "Hosts that callers may name in `Host`, on any port; IPv6 addresses in brackets. Stops DNS rebinding.",
        note="the loopback names and the listen address; on a Unix socket every host")
    policy_file: Path | None = optional("PROXY_POLICY_FILE", TEXT_FILE,
        "Who may call what: [policy](policy.md).",
        note="all but the token endpoints and the release of payouts by date", reloads=True)
    max_in_flight: int = setting("PROXY_MAX_IN_FLIGHT", COUNT, "512", "Calls relayed at once. One more gets 503.")
    tls_cert_file: Path | None = optional("PROXY_TLS_CERT_FILE", CERTIFICATES_FILE,
        "PEM file of the certificate that callers see, with its chain; a reload reads it again.",
        section="TLS towards callers", note="plain HTTP")
    tls_key_file: Path | None = optional("PROXY_TLS_KEY_FILE", SECRET_FILE,
        "PEM file of the certificate's private key, without a passphrase.")
    tls_client_ca_file: Path | None = optional("PROXY_TLS_CLIENT_CA_FILE", CERTIFICATES_FILE,
        "PEM file of CA certificates. Each caller then needs one of theirs.",
        note="callers need no certificate")
    required_header: RequiredHeader | None = optional("PROXY_REQUIRED_HEADER", _HEADER,
        "A field that every call must carry, such as `X-Internal: yes`; else 412. It stops requests that a forged URL "
        "makes another server send (SSRF), and stays behind.",
        section="Safety")
    allow_browsers: bool = setting("PROXY_ALLOW_BROWSERS", FLAG, "false",
        "Accepts calls of browser pages: any page that this machine's user opens.")
    max_connections: int = setting("PROXY_MAX_CONNECTIONS", COUNT, "4096",
        "Callers' connections at once. One more gets 503 and is closed.")
    caller_idle_timeout: float = setting("PROXY_CALLER_IDLE_TIMEOUT", DURATION, "1h",
        "How long a caller's connection is kept without a call; [less as connections "
        "fill](how-to/sizing.md#who-gets-what-is-left). A client that keeps connections must keep them for less.")
    redact_echoes: bool = setting("PROXY_REDACT_ECHOES", FLAG, "false",
        "Masks the sidecar's token in an answer's header and in the first 64 KiB of its body.")
    hardening: Literal["auto", "off"] = setting("PROXY_HARDENING", choice("auto", "off"), "auto",
        "`auto` takes files, new privileges and core dumps from the process: [hardening](explanation/hardening.md).",
        formerly="PROXY_SANDBOX")
    max_request_body: int = setting("PROXY_MAX_REQUEST_BODY", SIZE, "32MiB",
        "A larger request body is refused with 413.", section="Sizes")
    replay_buffer: int = setting("PROXY_REPLAY_BUFFER", SIZE_OR_ZERO, "1MiB",
        "A request body up to this size is held, to be sent again after a 401.")
    memory_budget: int | None = optional("PROXY_MEMORY_BUDGET", SIZE,
        "Bytes held for callers at once: [sizing](how-to/sizing.md).",
        note="the cgroup's limit less what the process needs; without a limit 256KiB for each of PROXY_MAX_IN_FLIGHT")
    connect_timeout: float = setting("PROXY_CONNECT_TIMEOUT", DURATION, "5s",
        "For DNS, TCP, egress proxy and TLS together.", section="Times")
    response_timeout: float = setting("PROXY_RESPONSE_TIMEOUT", DURATION, "60s",
        "From the request's last byte to the answer's first.")
    idle_timeout: float = setting("PROXY_IDLE_TIMEOUT", DURATION, "60s", "Between two bytes of a body.")
    token_wait: float = setting("PROXY_TOKEN_WAIT", DURATION, "2.5s",
        "How long a call waits for a token before it gets 503.")
    token_timeout: float = setting("PROXY_TOKEN_TIMEOUT", DURATION, "5s", "For one call of a token endpoint.")
    header_timeout: float = setting("PROXY_HEADER_TIMEOUT", DURATION, "10s",
        "For a caller to send a request's head.")
    upload_timeout: float = setting("PROXY_UPLOAD_TIMEOUT", DURATION, "5m",
        "How long the sidecar waits for a request's body in all.")
    upload_min_rate: int = setting("PROXY_UPLOAD_MIN_RATE", SIZE_OR_ZERO, "1KiB",
        "Bytes of a body that a caller must send a second on average, once PROXY_HEADER_TIMEOUT has passed; `0B`: any.")
    effects_idle: float = setting("PROXY_EFFECTS_IDLE", DURATION_OR_ZERO, "2s",
        "A call with effects uses no connection that was idle for longer.")
    max_connection_age: float = setting("PROXY_MAX_CONNECTION_AGE", DURATION, "5m",
        "An older connection to Localpayment begins no call, so that a new address is found.")
    check_from_body: bool = setting("PROXY_CHECK_FROM_BODY", FLAG, "true",
        "Takes the `externalId` from the body of a call of unknown outcome (the top level of JSON of at most 64 KiB), "
        "for `check`.",
        section="Answers")
    server_timing: bool = setting("PROXY_SERVER_TIMING", FLAG, "false",
        "Adds `Server-Timing` to answers: the sidecar's and Localpayment's milliseconds until the answer began.")
    drain_delay: float = setting("PROXY_DRAIN_DELAY", DURATION_OR_ZERO, "0s",
        "From unready to refusing new calls.",
        section="Stopping")
    drain_timeout: float = setting("PROXY_DRAIN_TIMEOUT", DURATION_OR_ZERO, "25s",
        "For calls in flight to finish.")
    upstream_ca_file: Path | None = optional("PROXY_UPSTREAM_CA_FILE", CERTIFICATES_FILE,
        "PEM file of the CA certificates to trust.",
        section="The way to Localpayment", note="the system's CA certificates", reloads=True)
    egress_proxy: EgressProxy | None = optional("PROXY_EGRESS_PROXY", _EGRESS,
        "HTTP proxy on the way (CONNECT); `http://user:password@host:port`, percent-encoded, for basic "
        "authentication.", secret=True)
    event_loop: Literal["uvloop", "asyncio"] = setting("PROXY_EVENT_LOOP", choice("uvloop", "asyncio"), "uvloop",
        "`asyncio` spares a native library and costs a tenth more CPU a call.",
        section="The process")
    log_level: LogLevel = setting("PROXY_LOG_LEVEL", _LOG_LEVEL, "info",
        "The lowest level written.", section="Logs", reloads=True)
    log_format: Literal["json", "console"] | None = optional("PROXY_LOG_FORMAT", choice("json", "console"),
        "One JSON object a line, or text for people.", note="`console` on a terminal, else `json`")
    audit_log: Path | Literal["stdout"] | None = optional("PROXY_AUDIT_LOG", _AUDIT_LOG,
        "Where every call with effects is recorded: [audit](how-to/audit.md).", note="nowhere")
    audit_key_file: Path | None = optional("PROXY_AUDIT_KEY_FILE", SECRET_FILE,
        "A file with a key of at least 16 characters, for the hash of the external id.",
        note="no external ids, not even hashed")
    ledger: LedgerPlace = setting("PROXY_LEDGER", _LEDGER, "off",
        "Where each call with effects is written down: [ledger](how-to/ledger.md). Not set, it is `ledger.db` in the "
        "folder that `STATE_DIRECTORY` names (systemd's `StateDirectory=`).", section="The outcome ledger",
        secret=True)
    ledger_on_failure: Literal["refuse", "continue"] = setting("PROXY_LEDGER_ON_FAILURE",
        choice("refuse", "continue"), "refuse",
        "While the ledger cannot be written, a call with effects gets 503, not sent, or goes on.")
    ledger_timeout: float = setting("PROXY_LEDGER_TIMEOUT", DURATION, "500ms",
        "How long a call waits for the ledger.")
    ledger_keep: float = setting("PROXY_LEDGER_KEEP", AGE, "30d",
        "How long an entry is kept. One whose call is not settled is never removed.")
    duplicates: Literal["report", "refuse"] = setting("PROXY_DUPLICATES", choice("report", "refuse"), "report",
        "A [repeat](how-to/ledger.md#repeats) is sent, and its answer says so, or it gets 409.")
    duplicate_window: float = setting("PROXY_DUPLICATE_WINDOW", DURATION, "24h",
        "How long after a call the same one is a repeat.")
    otel_endpoint: Collector | None = optional("PROXY_OTEL_ENDPOINT", _COLLECTOR,
        "Where spans go, by OTLP over HTTP: [tracing](how-to/tracing.md).",
        section="Traces", note="nowhere; a caller's `traceparent` crosses unchanged")
    otel_headers_file: Path | None = optional("PROXY_OTEL_HEADERS_FILE", HEADERS_FILE,
        "Header fields for the collector, one a line, such as `Authorization: Bearer …`.")
    # fmt: on
    warnings: tuple[str, ...] = field(default=(), compare=False)


class Problem(NamedTuple):
    """One mistake; str() is one line.

    Attributes:
        variable: the setting's name in the environment.
        value: what was written, fit to be shown; None when there is nothing, or nothing that may be shown.
        text: what is wrong and how to put it right.
    """

    variable: str
    value: str | None
    text: str

    def __str__(self) -> str:
        shown = self.variable if self.value is None else f"{self.variable}={self.value}"
        return f"{shown}: {self.text}"


class SettingsError(Exception):
    """The settings cannot be used; `problems` names every mistake, in the order of the documentation."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
