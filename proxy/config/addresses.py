"""Declares the addresses of origin, egress proxy, collector and listeners. Types only: no parsing, no I/O.

A host is a lower-case name or an address, an IPv6 address without brackets. Nothing here may show an egress proxy's
user or password.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.secret import Secret

HTTP_PORT = 80  # RFC 9110 section 4.2.1
HTTPS_PORT = 443  # RFC 9110 section 4.2.2


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of an HTTP server; str() gives `https://authority`."""

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """Value of a Host field: the port only when it is not the scheme's own, an IPv6 address in brackets."""
        own = HTTPS_PORT if self.tls else HTTP_PORT
        return bracketed(self.host) if self.port == own else f"{bracketed(self.host)}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Collector:
    """Where traces go, by OTLP over HTTP; str() gives the URL as it is set.

    Attributes:
        origin: scheme, host and port.
        path: empty, or from a slash on, without one at its end.
    """

    origin: Origin
    path: str = ""

    @property
    def url(self) -> str:
        """Where spans are posted (OpenTelemetry Protocol Exporter, endpoint URLs for OTLP/HTTP)."""
        return f"{self}/v1/traces"

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """An HTTP proxy that opens tunnels by CONNECT; str() gives its URL without user and password.

    Attributes:
        authorization: ready value of Proxy-Authorization, or None.
    """

    host: str
    port: int
    authorization: Secret | None

    @property
    def redacted(self) -> str:
        """Its URL, which says whether there is a user, and not which."""
        return str(self) if self.authorization is None else str(self).replace("://", "://[redacted]@")

    def __str__(self) -> str:
        return f"http://{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP address to listen on; port 0 lets the kernel choose; str() gives `host:port`."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine, or this pod, reaches it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket to listen on; str() gives `unix:/path`."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


Listen = TcpAddress | UnixAddress


@dataclass(frozen=True, slots=True)
class RequiredHeader:
    """A field that every request must carry; str() gives `Name: value` as it was written.

    It is no credential: it keeps away requests that a page or a forged URL caused, which cannot add a field.

    Attributes:
        name: compared without case.
        value: compared whole.
    """

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


def bracketed(host: str) -> str:
    """Write a host as an authority does (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: a loopback address, `localhost` or a name below it (RFC 6761 section 6.3)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
