"""May this request be taken at all? Its method, its Host, whether a browser page sent it, and a field it must carry.

Pure. A page in a browser on this machine must never reach Localpayment through the sidecar: neither by a request across
origins nor by DNS rebinding, which makes the page's own name point to the loopback address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.errors import (
    BadRequestError,
    BrowserForbiddenError,
    HeaderRequiredError,
    HostForbiddenError,
    MethodForbiddenError,
)
from proxy.relay.request.request_fields import HOST, PAGE, pairs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.relay.request.request_fields import Told

    Field = tuple[bytes, bytes]

LOOPBACK_HOSTS: Final = frozenset(("localhost", "127.0.0.1", "[::1]"))
ANY_HOST: Final = frozenset(("*",))  # no host is written so

# CONNECT asks for a tunnel; TRACE, and TRACK as IIS calls it, would return the injected token to the caller.
_FORBIDDEN_METHODS: Final = frozenset(("CONNECT", "TRACE", "TRACK"))
# RFC 3986 section 3.2.2 without userinfo: a name or an address, an IPv6 one in brackets, and a port.
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[\w.\-]+)(?P<port>:[0-9]{1,5})?", re.ASCII).fullmatch
_PAGE: Final = frozenset(PAGE)
_PAGE_MODES: Final = frozenset((b"cors", b"no-cors"))
# RFC 9112 section 3.2.2, as far as http and https go: scheme, authority, path and query.
_ABSOLUTE: Final = re.compile(rb"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


def admit(  # noqa: PLR0913 - what a listener may be told, each named at the call
    method: str,
    told: Told,
    allowed_hosts: frozenset[str] | None,
    *,
    http_1_1: bool = True,
    authority: bytes | None = None,
    browsers: bool = False,
    required: Field | None = None,
) -> None:
    """Raise the refusal of a request that is not to be taken; see the checks below.

    Args:
        method: as sent.
        told: values of its fields.
        allowed_hosts: as for `check_host`.
        http_1_1: as for `check_host`.
        authority: of a target in absolute-form; it takes the place of what Host says, but not of the field.
        browsers: whether a page's request is taken.
        required: name in lower case and value of a field that must be there once; None asks for none.
    """
    check_method(method)
    hosts = told.get(HOST, ())
    if authority is None:
        check_host(hosts, allowed_hosts, http_1_1=http_1_1)
    else:
        check_host(hosts, ANY_HOST, http_1_1=http_1_1)
        check_host((authority,), allowed_hosts)
    if not browsers and not _PAGE.isdisjoint(told):
        check_browser(pairs_of(told, PAGE))
    if required is not None and told.get(required[0]) != (required[1],):
        detail = "Send the header field that PROXY_REQUIRED_HEADER names, once, with the value that stands there."
        raise HeaderRequiredError(detail)


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


def check_host(host_values: Sequence[bytes], allowed: frozenset[str] | None, *, http_1_1: bool = True) -> None:
    """Raise the refusal of a Host that is not accepted.

    Args:
        host_values: values of all Host fields.
        allowed: accepted hosts in lower case; `name` accepts any port, `name:port` only this one, an IPv6 address
            stands in brackets. None accepts the loopback names, ANY_HOST whatever is a host.
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
    accepted = LOOPBACK_HOSTS if allowed is None else allowed
    if accepted is not ANY_HOST and name not in accepted and name + (found["port"] or "") not in accepted:
        detail = (
            "Host, or the target's authority, is no accepted host; call the sidecar by one, or add this one to "
            "PROXY_ALLOWED_HOSTS."
        )
        raise HostForbiddenError(detail)


def default_hosts(listen_host: str) -> frozenset[str]:
    """Return what is accepted without a setting: the loopback names and the address listened on, a port left open."""
    name = listen_host.lower()
    return LOOPBACK_HOSTS | {f"[{name}]" if ":" in name else name}


def hosts_on_socket_file(allowed: frozenset[str] | None) -> frozenset[str]:
    """Return what a Unix listener accepts: everything, since no page reaches it; with a setting, that and loopback.

    Args:
        allowed: of the setting, None without one.
    """
    return ANY_HOST if allowed is None else LOOPBACK_HOSTS | allowed


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
