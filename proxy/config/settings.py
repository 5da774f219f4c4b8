"""What is the sidecar told at its start? One frozen value, and the list of mistakes when there is none.

Imports no pydantic: everything that only reads settings pays nothing for how they were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.config.addresses import Collector, EgressProxy, Listen, Origin
    from proxy.config.credential_sources import CredentialSource
    from proxy.config.required_header import RequiredHeader


class Environment(StrEnum):
    """Which Localpayment: play money or real."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, checked. Times are seconds, sizes are bytes.

    Attributes:
        environment: sandbox or production.
        origin: Localpayment's API, pinned for the process's life.
        credentials: where username and password come from.
        credentials_interval: between two looks at that source; None leaves it to the source.
        listen: where callers connect.
        admin_listen: where health, metrics and status are served.
        allow_remote: whether a listener may be reachable from other machines.
        allowed_hosts: accepted hosts of the Host field, lower case, without port, an IPv6 address in brackets;
            None means the loopback names and the listen address.
        policy_file: the policy, or None for the default one.
        max_request_body: bytes of a request body; more is refused with 413.
        replay_buffer: bytes of a request body that are held for a second try after a 401.
        connect_timeout: for name, TCP, egress proxy and TLS together.
        response_timeout: from the request's last byte to the answer's first.
        idle_timeout: between two bytes of a body.
        token_wait: that a call waits for a token.
        token_timeout: for one call of a token endpoint.
        header_timeout: for a caller to send its request's head.
        max_in_flight: calls relayed at once; more are refused with 503.
        drain_delay: between becoming unready and refusing new calls.
        drain_timeout: that calls in flight get to finish.
        upstream_ca_file: PEM file of a private CA that stands in for the system's, or None.
        egress_proxy: the proxy between us and Localpayment, or None.
        log_level: least severe level that is written.
        log_format: None means console on a terminal, else json.
        effects_idle: a call with effects never rides a pooled connection that was idle for longer.
        max_connection_age: no call is begun on a connection to Localpayment that is older, or up to a fifth younger.
        check_from_body: whether an externalId in a body may stand in the check path of an unknown outcome.
        server_timing: whether answers say how long the sidecar and Localpayment took.
        audit_log: where calls with effects are noted; None means nowhere.
        audit_key_file: holds the key by which external ids are hashed there, or None.
        otel_endpoint: where traces go; None means nowhere.
        otel_headers_file: holds header fields that go there with them, or None.
        admin_key_file: holds the key that orders to the admin listener must carry, or None.
        tls_cert_file, tls_key_file: what the data listener shows to callers; None means that it speaks plain HTTP.
        tls_client_ca_file: CA certificates, of which each caller must have one's certificate; None asks for none.
        required_header: a field that every call must carry, or None.
        allow_browsers: whether calls of pages in browsers are taken.
        max_connections: callers' connections at once.
        redact_echoes: whether a token of ours is masked in answers.
        sandbox: whether the process gives up what it does not need, as far as the kernel can.
        event_loop: whose event loop carries everything.
    """

    environment: Environment
    origin: Origin
    credentials: CredentialSource
    credentials_interval: float | None
    listen: Listen
    admin_listen: Listen
    allow_remote: bool
    allowed_hosts: frozenset[str] | None
    policy_file: Path | None
    max_request_body: int
    replay_buffer: int
    connect_timeout: float
    response_timeout: float
    idle_timeout: float
    token_wait: float
    token_timeout: float
    header_timeout: float
    max_in_flight: int
    drain_delay: float
    drain_timeout: float
    upstream_ca_file: Path | None
    egress_proxy: EgressProxy | None
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["json", "console"] | None
    effects_idle: float
    max_connection_age: float
    check_from_body: bool
    server_timing: bool
    audit_log: Path | Literal["stdout"] | None = None
    audit_key_file: Path | None = None
    otel_endpoint: Collector | None = None
    otel_headers_file: Path | None = None
    admin_key_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_client_ca_file: Path | None = None
    required_header: RequiredHeader | None = None
    allow_browsers: bool = False
    max_connections: int = 4096
    redact_echoes: bool = False
    sandbox: Literal["auto", "off"] = "auto"
    event_loop: Literal["uvloop", "asyncio"] = "uvloop"


@dataclass(frozen=True, slots=True)
class Problem:
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
