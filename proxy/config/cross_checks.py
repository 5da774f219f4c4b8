"""Which settings are right alone and wrong together? Pure, over what could be read.

A rule is silent when one of its settings is reported already: one mistake, one line.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from proxy.config.account_settings import SANDBOX_URL
from proxy.config.addresses import Collector, Listen, Origin, TcpAddress, UnixAddress, is_loopback
from proxy.config.settings import Environment, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCALPAYMENT_DOMAIN = "localpayment.com"
STAGE = "stage"
TLS_FILES = ("PROXY_TLS_CERT_FILE", "PROXY_TLS_KEY_FILE", "PROXY_TLS_CLIENT_CA_FILE")


def origin_problems(environment: Environment, origin: Origin | None) -> Iterator[Problem]:
    """Whether calls would go where the environment says."""
    match environment, origin:
        case Environment.PRODUCTION, None:
            text = "required for production: write the URL that Localpayment gave you, such as https://host"
            yield Problem("LOCALPAYMENT_BASE_URL", None, text)
        case Environment.PRODUCTION, Origin(host=host) if _is_stage(host):
            text = (
                "is the sandbox, but LOCALPAYMENT_ENVIRONMENT is production: write the production URL, or sandbox there"
            )
            yield Problem("LOCALPAYMENT_BASE_URL", str(origin), text)
        case Environment.SANDBOX, Origin(host=host) if _is_localpayment(host) and not _is_stage(host):
            text = (
                f"is not the sandbox, but LOCALPAYMENT_ENVIRONMENT is sandbox: remove it for {SANDBOX_URL}, "
                "or write production there"
            )
            yield Problem("LOCALPAYMENT_BASE_URL", str(origin), text)
        case _:
            pass


def remote_problem(variable: str, address: Listen, *, allow_remote: bool) -> Iterator[Problem]:
    """Whether others than this machine could connect, and nobody said that they may."""
    if isinstance(address, TcpAddress) and not address.is_loopback and not allow_remote:
        text = (
            f"is reachable from other machines: write 127.0.0.1:{address.port}, or set PROXY_ALLOW_REMOTE=true "
            "if the network in front of it keeps strangers out"
        )
        yield Problem(variable, str(address), text)


def shared_address_problem(listen: Listen, admin: Listen) -> Iterator[Problem]:
    """Whether callers and operators would meet at one address."""
    if _overlap(listen, admin):
        yield Problem("PROXY_ADMIN_LISTEN", str(admin), f"is taken by PROXY_LISTEN={listen}: choose another one")


def tls_problems(certificate: Path | None, key: Path | None, client_ca: Path | None) -> Iterator[Problem]:
    """Whether what TLS towards callers needs is all there."""
    names = dict(zip(TLS_FILES, (certificate, key, client_ca), strict=True))
    given = next((name for name, path in names.items() if path is not None), None)
    if given is not None:
        for name in TLS_FILES[:2]:
            if names[name] is None:
                yield Problem(name, None, f"required beside {given}: name the file, or remove {given}")


def audit_problems(log: object | None, key: Path | None) -> Iterator[Problem]:
    """Whether the key of the audit stream's hashes has a stream to hash for."""
    if key is not None and log is None:
        text = "has no effect without PROXY_AUDIT_LOG: set that, to a path or to stdout, or remove this one"
        yield Problem("PROXY_AUDIT_KEY_FILE", str(key), text)


def tracing_problems(collector: Collector | None, headers: Path | None) -> Iterator[Problem]:
    """Whether the header fields for the collector go somewhere, and to nobody else."""
    if headers is None:
        return
    if collector is None:
        text = "has no effect without PROXY_OTEL_ENDPOINT: set that, or remove this one"
        yield Problem("PROXY_OTEL_HEADERS_FILE", str(headers), text)
    elif not collector.origin.tls and not is_loopback(collector.origin.host):
        text = f"would cross the network in clear to {collector}: write https:// there, or remove this one"
        yield Problem("PROXY_OTEL_HEADERS_FILE", str(headers), text)


def _overlap(one: Listen, other: Listen) -> bool:
    match one, other:
        case UnixAddress(), UnixAddress():
            return one == other
        case TcpAddress(), TcpAddress():
            if one.port != other.port or one.port == 0:
                return False
            hosts = {one.host, other.host}
            return len(hosts) == 1 or any(_is_wildcard(host) for host in hosts) or _are_localhost(hosts)
        case _:
            return False


def _are_localhost(hosts: set[str]) -> bool:
    """Whether one is a name of loopback, which stands for both addresses, and the other one of them."""
    return all(is_loopback(host) for host in hosts) and any(host.endswith("localhost") for host in hosts)


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_localpayment(host: str) -> bool:
    return host == LOCALPAYMENT_DOMAIN or host.endswith(f".{LOCALPAYMENT_DOMAIN}")


def _is_stage(host: str) -> bool:
    return _is_localpayment(host) and STAGE in host.split(".")
