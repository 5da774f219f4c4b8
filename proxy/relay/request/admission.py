"""Decides whether a request is taken at all, by its method, its Host, signs of a browser page and a required field.

Pure. A page in a browser on this machine must never reach Localpayment through the sidecar: neither by a request across
origins nor by DNS rebinding, which makes the page's own name point to the loopback address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.config.addresses import TcpAddress
from proxy.errors import (
    BadRequestError,
    BrowserForbiddenError,
    HeaderRequiredError,
    HostForbiddenError,
    MethodForbiddenError,
)
from proxy.http1.header_cache import keep
from proxy.relay.request.request_fields import HOST, PAGE, pairs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.config import Settings
    from proxy.http1.proxied_fields import Field
    from proxy.relay.request.request_fields import Told

LOOPBACK_HOSTS: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
ANY_HOST: Final = frozenset(("*",))  # no host is written so
MOST_HOSTS: Final = 64  # that are remembered
_USUAL: Final = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))

# CONNECT asks for a tunnel; TRACE, and TRACK as IIS calls it, would return the injected token to the caller.
_FORBIDDEN_METHODS: Final = frozenset(("CONNECT", "TRACE", "TRACK"))
# RFC 3986 section 3.2.2 without userinfo: a name or an address, an IPv6 one in brackets, and a port.
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[\w.\-]+)(?P<port>:[0-9]{1,5})?", re.ASCII).fullmatch
_PAGE: Final = frozenset(PAGE)
_PAGE_MODES: Final = frozenset((b"cors", b"no-cors"))
# RFC 9112 section 3.2.2, as far as http and https go: scheme, authority, path and query.
_ABSOLUTE: Final = re.compile(rb"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


class Entrance:
    """The rules of the data listener, as the settings have them.

    Attributes:
        required: name in lower case and value of a field that must be there once, and must never go on to Localpayment;
            None asks for none.
    """

    def __init__(self, settings: Settings) -> None:
        self._hosts = _hosts(settings)
        self._browsers = settings.allow_browsers
        self._scheme = b"http" if settings.tls_cert_file is None else b"https"
        field = settings.required_header
        self.required = None if field is None else (field.name.lower().encode("ascii"), field.value.encode("ascii"))
        # A request of a known host is looked at no further unless it has one of these, or none where one is asked for.
        self._looked_at = _PAGE if field is None else frozenset((HOST,))
        self._known: dict[tuple[bytes, ...] | None, None] = {}

    def admit(self, method: str, target: bytes, told: Told, http_1_1: bool) -> bytes:  # noqa: FBT001 - called for each call
        """Let a request pass, or raise its refusal; see the checks below.

        Returns:
            The target, which is in origin-form if it came in absolute-form and named this listener (RFC 9112 section
            3.2.2).
        """
        hosts = told.get(HOST)
        if hosts in self._known and method in _USUAL and target[:1] == b"/" and self._looked_at.isdisjoint(told):
            return target
        check_method(method)
        here = None if target.startswith(b"/") else origin_form(method, target, self._scheme)
        if here is None:
            check_host(hosts or (), self._hosts, http_1_1=http_1_1)
        else:  # its authority takes the place of what Host says, but not of the field
            check_host(hosts or (), ANY_HOST, http_1_1=http_1_1)
            check_host((here[0],), self._hosts)
        if not self._browsers and not _PAGE.isdisjoint(told):
            check_browser(pairs_of(told, PAGE))
        if self.required is not None and told.get(self.required[0]) != (self.required[1],):
            detail = "Send the header field that PROXY_REQUIRED_HEADER names, once, with the value that stands there."
            raise HeaderRequiredError(detail)
        if here is not None:
            return here[1]
        if hosts is not None:
            keep(self._known, hosts, None, most=MOST_HOSTS)
        return target


def _hosts(settings: Settings) -> frozenset[str]:
    """Return the accepted hosts; on a Unix socket, which no page reaches, all of them unless a setting names some."""
    allowed = settings.allowed_hosts
    if isinstance(settings.listen, TcpAddress):
        return allowed or default_hosts(settings.listen.host)
    return ANY_HOST if allowed is None else LOOPBACK_HOSTS | allowed


def origin_form(method: str, target: bytes, scheme: bytes) -> tuple[bytes, bytes] | None:
    """Return the authority of a target in absolute-form, and what the target is in origin-form, byte for byte.

    Args:
        method: as sent.
        target: as sent.
        scheme: of the listener; a target of another scheme is none of its own, for which None is returned.
    """
    found = _ABSOLUTE.fullmatch(target)
    if found is None or found["scheme"].lower() != scheme:
        return None
    rest: bytes = found["rest"]
    if not rest and method == "OPTIONS":  # RFC 9112 section 3.2.4
        return found["authority"], b"*"
    return found["authority"], rest if rest[:1] == b"/" else b"/" + rest


def check_method(method: str) -> None:
    """Raise MethodForbiddenError for CONNECT, TRACE and TRACK, and for any method not in upper case.

    Methods have a case (RFC 9110 section 9.1), but Django folds it: `post` would be judged as one and done as another.
    """
    if method in _FORBIDDEN_METHODS or method != method.upper():
        detail = "CONNECT and TRACE are never relayed, and methods are written in upper case."
        raise MethodForbiddenError(detail)


def check_host(host_values: Sequence[bytes], allowed: frozenset[str], *, http_1_1: bool = True) -> None:
    """Raise the refusal of a Host that is not accepted.

    Args:
        host_values: values of all Host fields.
        allowed: accepted hosts in lower case; `name` accepts any port, `name:port` only this one, an IPv6 address
            stands in brackets. ANY_HOST accepts whatever is a host.
        http_1_1: whether the request must have a Host (RFC 9112 section 3.2); no browser omits it.

    Raises:
        BadRequestError: there is not exactly one, or it is no host.
        HostForbiddenError: it is none of the accepted.
    """
    if not host_values and not http_1_1:
        return
    if len(host_values) != 1:
        detail = "A request has exactly one Host field."
        raise BadRequestError(detail)
    found = _HOST(host_values[0].decode("latin-1").lower())
    if found is None:
        detail = "Host, or the target's authority, is no host name or address with an optional port."
        raise BadRequestError(detail)
    name = found["name"].rstrip(".")
    if allowed is not ANY_HOST and name not in allowed and name + (found["port"] or "") not in allowed:
        detail = (
            "Host, or the target's authority, is no accepted host; call the sidecar by one, or add this one to "
            "PROXY_ALLOWED_HOSTS."
        )
        raise HostForbiddenError(detail)


def default_hosts(listen_host: str) -> frozenset[str]:
    """Return what is accepted without a setting: the loopback names and the address listened on, a port left open."""
    name = listen_host.lower()
    return LOOPBACK_HOSTS | {f"[{name}]" if ":" in name else name}


def check_browser(headers: Sequence[Field]) -> None:
    """Raise BrowserForbiddenError for a request that a page sent.

    Browsers add Origin to what crosses origins and to most of what is not a GET, and Sec-Fetch-Site and -Mode (Fetch
    Metadata) to everything. `Sec-Fetch-Site: none` is a person who typed the address, unless the mode is a script's: an
    extension's. A mode without a site comes from no browser: Node's `fetch` sends it.
    """
    sites = [value.lower() for name, value in headers if name.lower() == b"sec-fetch-site"]
    scripted = any(name.lower() == b"sec-fetch-mode" and value.lower() in _PAGE_MODES for name, value in headers)
    crosses = any(name.lower() == b"origin" for name, _ in headers)
    if crosses or set(sites) - {b"none"} or (sites and scripted):
        detail = "Pages in browsers may not use the sidecar; call it from a server, without Origin and Sec-Fetch-Site."
        raise BrowserForbiddenError(detail)
