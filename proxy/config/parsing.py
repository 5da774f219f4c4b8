"""Reads addresses: text → Origin, EgressProxy, Collector, Listen, hosts, RequiredHeader.

Pure. What cannot be read is refused by a ValueError, whose text names everything that is wrong, with the fix. It never
quotes what it refuses: a URL can hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, NoReturn
from urllib.parse import SplitResult, unquote, urlsplit

from proxy.config.addresses import (
    HTTP_PORT,
    HTTPS_PORT,
    Collector,
    EgressProxy,
    Listen,
    Origin,
    RequiredHeader,
    TcpAddress,
    UnixAddress,
    is_loopback,
)
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET_PATH = 107  # bytes; sun_path of unix(7) holds 108, the last one zero

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_MAX_PORT = 65535
_NAME_LENGTH = 253  # RFC 1035 section 2.3.4, without the root's dot

_COLLECTOR_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
_SIGNAL = "/v1/traces"

# A field's name, a token of RFC 9110 section 5.6.2, and its value, in visible ASCII.
FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64})\s*:\s*([!-~](?:[ !-~]*[!-~])?)", re.ASCII)
_LONGEST_VALUE: Final = 256  # characters of a required field
# A required field is taken off before a request goes on, so it can be none that says something of the call.
_MEANING = frozenset(
    (
        "host", "connection", "transfer-encoding", "te", "trailer", "upgrade", "expect", "authorization", "cookie",
        "accept", "accept-encoding", "accept-language", "range", "origin", "via", "x-request-id", "traceparent",
        "x-capture", "x-client-code", "x-version", "x-proxy-key", "idempotency-key",
    )
)  # fmt: skip
_MEANING_PREFIXES = ("content-", "if-", "sec-", "proxy-")


def refuse(text: str) -> NoReturn:
    """Refuse what cannot be read, with the fix; the one way in which every reader of a text does."""
    raise ValueError(text)


class Url(NamedTuple):
    """A URL that is split; `host` in its shortest form, `port` None when it names none."""

    parts: SplitResult
    host: str
    port: int | None


def origin(value: object) -> Origin:
    """Read an origin: `https://host`, `https://host:port`, or `http://` to loopback."""
    url = split_url(value, "https://host:port")
    path_fault = "" if url.parts.path in {"", "/"} else "must end after the host: remove the path"
    wrong = [*_faults(url.parts, "https://", "they have settings of their own", path_fault)]
    if url.parts.scheme == "http" and not is_loopback(url.host):
        wrong.append("http is accepted to loopback only, credentials would cross the network in clear: write https://")
    if wrong:
        refuse("; ".join(wrong))
    return _origin(url)


def _faults(parts: SplitResult, begin: str, user: str, path_fault: str) -> Iterator[str]:
    if parts.scheme not in {"https", "http"}:
        yield f"must begin with {begin}"
    if "@" in parts.netloc:
        yield f"must hold no user or password: {user}"
    if path_fault:
        yield path_fault
    if parts.query or parts.fragment:
        yield "must hold neither query nor fragment: remove everything from ? or # on"


def _origin(url: Url) -> Origin:
    tls = url.parts.scheme == "https"
    return Origin(url.host, url.port or (HTTPS_PORT if tls else HTTP_PORT), tls)


def egress_proxy(value: object) -> EgressProxy:
    """Read `http://host:port` or `http://user:password@host:port`, both parts percent-encoded."""
    url = split_url(value.reveal() if isinstance(value, Secret) else value, "http://proxy.internal:3128")
    wrong = []
    if url.parts.scheme != "http":
        wrong.append("only an http:// proxy is supported (it sees an encrypted tunnel): write http://host:port")
    if url.port is None:
        wrong.append("name the port, such as :3128")
    if url.parts.path not in {"", "/"} or url.parts.query or url.parts.fragment:
        wrong.append("must end after the port: remove path, query and fragment")
    if wrong:
        refuse("; ".join(wrong))
    return EgressProxy(url.host, url.port or 0, _basic(url.parts))


def _basic(parts: SplitResult) -> Secret | None:
    """Return the value of Proxy-Authorization (RFC 7617 section 2), or None without userinfo."""
    if "@" not in parts.netloc:
        return None
    user, password = (unquote(text or "", errors="replace") for text in (parts.username, parts.password))
    if ":" in user or "\ufffd" in user + password or not (user + password).isprintable():
        refuse("user and password must be UTF-8 without control characters, the user without a colon")
    return Secret("Basic " + b64encode(f"{user}:{password}".encode()).decode())


def collector(value: object) -> Collector:
    """Read where traces go: `http://host:port`, or https, with a path if the collector has one."""
    url = split_url(value, "http://127.0.0.1:4318")
    path, path_fault = url.parts.path.rstrip("/"), ""
    if path.endswith(_SIGNAL):
        path_fault = f"must end before {_SIGNAL}, which is added to it"
    elif _COLLECTOR_PATH.fullmatch(path) is None:
        path_fault = "has a path that cannot be used: write letters, digits and -._~ between its slashes"
    where = "write them into PROXY_OTEL_HEADERS_FILE"
    if wrong := [*_faults(url.parts, "https:// or http://", where, path_fault)]:
        refuse("; ".join(wrong))
    return Collector(_origin(url), path)


def listen(value: object) -> Listen:
    """Read `host:port`, `[address]:port` or `unix:/path`."""
    text = _text(value)
    if text.startswith("unix:"):
        return UnixAddress(_socket_path(text.removeprefix("unix:")))
    host, colon, port = text.rpartition(":")
    if "/" in text or not colon or not host:
        refuse("write host:port, such as 127.0.0.1:8080, or unix:/path")
    if _PORT.fullmatch(port) is None or int(port) > _MAX_PORT:
        refuse("the port must be a number from 1 to 65535, or 0: the kernel chooses a free port")
    if host == "*":
        refuse(f"name the address: 0.0.0.0:{port} for all of IPv4, [::]:{port} for all")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        refuse("an IPv6 address stands in brackets: write [::1]:8080")
    return TcpAddress(_host(host.removeprefix("[").removesuffix("]").lower()), int(port))


def _socket_path(text: str) -> Path:
    if not text.isprintable() or not text.startswith("/") or text.endswith("/"):
        refuse("a Unix socket needs an absolute path: write unix:/run/localpayment/proxy.sock")
    if len(text.encode()) > SOCKET_PATH:
        refuse(f"the path of a Unix socket has at most {SOCKET_PATH} bytes: choose a shorter one")
    return Path(text)


def audit_log(value: object) -> Path | Literal["stdout"]:
    """Read `stdout`, or the path of a file that need not be there yet."""
    text = _text(value)
    if text == "stdout":
        return "stdout"
    if "/" not in text or text.endswith("/"):
        refuse("write stdout, or the path of a file, such as /var/log/localpayment/audit.jsonl")
    return Path(text)


def hosts(value: object) -> frozenset[str]:
    """Read host names separated by commas, or a list of them; lower case, without port, IPv6 in brackets."""
    texts = value if isinstance(value, list) else _text(value).split(",")
    return frozenset(_accepted_host(_text(text)) for text in texts)


def _accepted_host(text: str) -> str:
    if "*" in text:
        refuse("an asterisk would let any page reach the sidecar (DNS rebinding): name the hosts, separated by commas")
    if text.startswith("[") and text.endswith("]"):
        return f"[{_host(text[1:-1].lower())}]"
    if ":" in text:
        refuse("write hosts without scheme and port (any port is accepted), an IPv6 address in brackets")
    return _host(text.lower())


def required_header(value: object) -> RequiredHeader:
    """Read `Name: value`."""
    field = FIELD.fullmatch(value.strip()) if isinstance(value, str) else None
    if field is None or len(field[2]) > _LONGEST_VALUE:
        refuse(f"write a name and a value, at most {_LONGEST_VALUE} of visible ASCII, such as X-Internal: yes")
    name, content = field.groups()
    if name.lower().replace("_", "-") in _MEANING or name.lower().startswith(_MEANING_PREFIXES):
        refuse("this field says something of the call, and would be taken off it: choose a name of your own")
    return RequiredHeader(name, content)


def split_url(value: object, example: str) -> Url:
    """Split a URL without showing urllib's error texts, which quote it."""
    text = _text(value)
    if not text.isprintable() or any(character.isspace() for character in text) or "\\" in text:
        refuse(f"must hold no white space, control character or backslash: write it like {example}")
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port, parts = "", None, SplitResult("", "", "", "", "")
    if not host or port == 0:
        refuse(f"is no URL with a host and a port from 1 to 65535: write it like {example}")
    return Url(parts, _host(host), port)


def _host(text: str) -> str:
    """Return an IP address in its shortest form, or a DNS name."""
    try:
        return ipaddress.ip_address(text).compressed
    except ValueError:
        pass
    if text.endswith("."):
        refuse("write the host without the dot at its end")
    if len(text) > _NAME_LENGTH or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        refuse("the host is neither a DNS name (international ones in their xn-- form) nor an IP address")
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        refuse("must be a text: put it in quotes")
    return value.strip()
