"""Checks settings against each other: those that are right alone and wrong together. Pure.

A rule is silent when one of its settings is reported already: one mistake, one line.
"""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from proxy.config.addresses import Collector, Listen, Origin, TcpAddress, is_loopback
from proxy.config.credential_sources import AUTH_MOUNT, LOGINS, SOURCES, Choices, VaultSource, VaultToken
from proxy.config.setting import settings_in, settings_of
from proxy.config.settings import SANDBOX_URL, Environment, Problem, Settings
from proxy.config.units import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

Class = type[Any]  # one that declares settings

_DOMAIN: Final = "localpayment.com"
_NO_SOURCE: Final = (
    "no credentials: set LOCALPAYMENT_USERNAME and LOCALPAYMENT_PASSWORD, or their _FILE forms, or another "
    "source: LOCALPAYMENT_CREDENTIALS_FILE, LOCALPAYMENT_CREDENTIALS_COMMAND, LOCALPAYMENT_VAULT_ADDR or "
    "LOCALPAYMENT_AWS_SECRET"
)
_NO_LOGIN: Final = (
    "no login: set LOCALPAYMENT_VAULT_TOKEN or LOCALPAYMENT_VAULT_TOKEN_FILE, or LOCALPAYMENT_VAULT_ROLE_ID "
    "with LOCALPAYMENT_VAULT_SECRET_ID or its _FILE form, or LOCALPAYMENT_VAULT_ROLE"
)
_WILDCARDS: Final = frozenset(("0.0.0.0", "::"))  # noqa: S104 - to be told from others
_TLS_FILES: Final = ("PROXY_TLS_CERT_FILE", "PROXY_TLS_KEY_FILE", "PROXY_TLS_CLIENT_CA_FILE")


def _origin_problems(environment: Environment | None, origin: Origin | None) -> Iterator[Problem]:
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


def _remote_problems(variable: str, address: Listen, allow_remote: bool) -> Iterator[Problem]:  # noqa: FBT001 - a setting's value
    """Whether other machines could connect without PROXY_ALLOW_REMOTE."""
    if isinstance(address, TcpAddress) and not address.is_loopback and not allow_remote:
        text = (
            f"is reachable from other machines: write 127.0.0.1:{address.port}, or set PROXY_ALLOW_REMOTE=true "
            "if the network in front of it keeps strangers out"
        )
        yield Problem(variable, str(address), text)


def _address_problems(listen: Listen, admin: Listen) -> Iterator[Problem]:
    """Whether callers and operators would meet at one address."""
    if _overlap(listen, admin):
        yield Problem("PROXY_ADMIN_LISTEN", str(admin), f"is taken by PROXY_LISTEN={listen}: choose another one")


def _tls_problems(*files: Path | None) -> Iterator[Problem]:
    """Whether what TLS towards callers needs is all there."""
    names = dict(zip(_TLS_FILES, files, strict=True))
    given = next((name for name, path in names.items() if path is not None), None)
    if given is not None:
        for name in _TLS_FILES[:2]:
            if names[name] is None:
                yield Problem(name, None, f"required beside {given}: name the file, or remove {given}")


def _audit_problems(log: object | None, key: Path | None) -> Iterator[Problem]:
    """Whether the key of the audit stream's hashes has a stream to hash for."""
    if key is not None and log is None:
        text = "has no effect without PROXY_AUDIT_LOG: set that, to a path or to stdout, or remove this one"
        yield Problem("PROXY_AUDIT_KEY_FILE", str(key), text)


def _tracing_problems(collector: Collector | None, headers: Path | None) -> Iterator[Problem]:
    """Whether the header fields for the collector are sent, and never in clear."""
    if headers is None:
        return
    if collector is None:
        text = "has no effect without PROXY_OTEL_ENDPOINT: set that, or remove this one"
        yield Problem("PROXY_OTEL_HEADERS_FILE", str(headers), text)
    elif not collector.origin.tls and not is_loopback(collector.origin.host):
        text = f"would cross the network in clear to {collector}: write https:// there, or remove this one"
        yield Problem("PROXY_OTEL_HEADERS_FILE", str(headers), text)


def _ledger_problems(keep: float, window: float) -> Iterator[Problem]:
    """Whether an entry would be forgotten while it tells repeats."""
    if keep < window:
        text = (
            f"is shorter than PROXY_DUPLICATE_WINDOW={duration_text(window)}, in which a repeat would not be seen: "
            "make it no shorter"
        )
        yield Problem("PROXY_LEDGER_KEEP", duration_text(keep), text)


# Each rule with the settings that it is asked about, in the order of its arguments.
RULES: Final[tuple[tuple[Callable[..., Iterator[Problem]], tuple[str, ...]], ...]] = (
    (_origin_problems, ("LOCALPAYMENT_ENVIRONMENT", "LOCALPAYMENT_BASE_URL")),
    (partial(_remote_problems, "PROXY_LISTEN"), ("PROXY_LISTEN", "PROXY_ALLOW_REMOTE")),
    (partial(_remote_problems, "PROXY_ADMIN_LISTEN"), ("PROXY_ADMIN_LISTEN", "PROXY_ALLOW_REMOTE")),
    (_address_problems, ("PROXY_LISTEN", "PROXY_ADMIN_LISTEN")),
    (_tls_problems, _TLS_FILES),
    (_audit_problems, ("PROXY_AUDIT_LOG", "PROXY_AUDIT_KEY_FILE")),
    (_ledger_problems, ("PROXY_LEDGER_KEEP", "PROXY_DUPLICATE_WINDOW")),
    (_tracing_problems, ("PROXY_OTEL_ENDPOINT", "PROXY_OTEL_HEADERS_FILE")),
)


def presence_problems(written: frozenset[str]) -> Iterator[Problem]:
    """Say what has to be set, and what is too much beside another.

    Args:
        written: the variables that are set, be it right or wrong.
    """
    yield from _missing(Settings, written)
    source = yield from _the_only(
        "LOCALPAYMENT_USERNAME", sources_in(written), written, _NO_SOURCE, "credentials come from one source"
    )
    if source is VaultSource:
        logins = logins_in(written)
        login = yield from _the_only("LOCALPAYMENT_VAULT_TOKEN", logins, written, _NO_LOGIN, "there is one login")
        if login is VaultToken and AUTH_MOUNT.variable in written:
            yield Problem(AUTH_MOUNT.variable, None, "a token needs no login: remove it")


def _the_only(
    variable: str, named: dict[Class, str], written: frozenset[str], none: str, several: str
) -> Generator[Problem, None, Class | None]:
    """Return the one class that is to be made, after what it lacks is said; None when there is none, or another."""
    if not named:
        yield Problem(variable, None, none)
        return None
    (chosen, first), *others = named.items()
    for _, other in others:
        yield Problem(other, None, f"{first} is set too, and {several} only: remove one of the two")
    if others:
        return None
    yield from _missing(chosen, written)
    return chosen


def sources_in(written: frozenset[str]) -> dict[Class, str]:
    """Return the sources of credentials of which something is set, each with the first variable that is."""
    return _first_set(SOURCES, written)


def logins_in(written: frozenset[str]) -> dict[Class, str]:
    """Return the logins to Vault of which something is set, likewise; the mount tells of none."""
    return _first_set(LOGINS, written - {AUTH_MOUNT.variable})


def _first_set(choices: Choices, written: frozenset[str]) -> dict[Class, str]:
    found = {one: [each.variable for each in settings_in(one, *parts)] for one, parts in choices.items()}
    return {one: next(filter(written.__contains__, names)) for one, names in found.items() if written & {*names}}


def _missing(declaring: Class, written: frozenset[str]) -> Iterator[Problem]:
    """Say what a class that is to be made needs besides, and which secret is given twice."""
    for field in fields(declaring):
        match settings_of(field):
            case (plain, file) if not written & {plain.variable, file.variable}:
                yield Problem(plain.variable, None, f"missing: set {plain.variable} or {file.variable}")
            case (plain, file) if written >= {plain.variable, file.variable}:
                yield Problem(file.variable, None, f"{plain.variable} is set too: remove one of the two")
            case (one,) if one.needed and one.variable not in written:
                yield Problem(one.variable, None, f"missing: {one.needed}")


def _overlap(one: Listen, other: Listen) -> bool:
    if not (isinstance(one, TcpAddress) and isinstance(other, TcpAddress)):
        return one == other
    hosts = {one.host, other.host}
    return one.port == other.port != 0 and (len(hosts) == 1 or bool(hosts & _WILDCARDS) or _are_localhost(hosts))


def _are_localhost(hosts: set[str]) -> bool:
    """Whether both are loopback and one is a name, which stands for both addresses."""
    return all(is_loopback(host) for host in hosts) and any(host.endswith("localhost") for host in hosts)


def _is_localpayment(host: str) -> bool:
    return host == _DOMAIN or host.endswith(f".{_DOMAIN}")


def _is_stage(host: str) -> bool:
    return _is_localpayment(host) and "stage" in host.split(".")
