"""What does an address in a setting mean? Text → Origin, EgressProxy, Listen, hosts; each refusal says the fix.

Pure. No refusal may quote what it refuses: a URL can hold a password.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from proxy.config.addresses import HTTP_PORT, HTTPS_PORT, EgressProxy, Listen, Origin, TcpAddress, UnixAddress
from proxy.config.addresses import is_loopback as host_is_loopback
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

SOCKET_PATH = 107  # bytes; sun_path of unix(7) holds 108, the last one zero

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_PORT = re.compile(r"\d{1,5}", re.ASCII)
_MAX_PORT = 65535
_NAME_LENGTH = 253  # RFC 1035 section 2.3.4, without the root's dot


@dataclass(frozen=True, slots=True)
class Url:
    """A URL that is split; `host` in its shortest form, `port` None when it names none."""

    parts: SplitResult
    host: str
    port: int | None


def origin(value: object) -> Origin:
    """Read an origin: `https://host`, `https://host:port`, or `http://` to loopback.

    Raises:
        ValueError: it is none; the text names everything that is wrong with it.
    """
    url = split_url(value, "https://host:port")
    wrong = list(_not_an_origin(url.parts))
    if url.parts.scheme == "http" and not host_is_loopback(url.host):
        wrong.append("http is accepted to loopback only, credentials would cross the network in clear: write https://")
    if wrong:
        raise ValueError("; ".join(wrong))
    tls = url.parts.scheme == "https"
    return Origin(url.host, url.port or (HTTPS_PORT if tls else HTTP_PORT), tls)


def _not_an_origin(parts: SplitResult) -> Iterable[str]:
    if parts.scheme not in {"https", "http"}:
        yield "must begin with https://"
    if "@" in parts.netloc:
        yield "must hold no user or password: they have settings of their own"
    if parts.path not in {"", "/"}:
        yield "must end after the host: remove the path"
    if parts.query or parts.fragment:
        yield "must hold neither query nor fragment: remove everything from ? or # on"


def egress_proxy(value: object) -> EgressProxy:
    """Read `http://host:port` or `http://user:password@host:port`, both parts percent-encoded.

    Raises:
        ValueError: it is none.
    """
    url = split_url(value.reveal() if isinstance(value, Secret) else value, "http://proxy.internal:3128")
    wrong = []
    if url.parts.scheme != "http":
        wrong.append("only an http:// proxy is supported (it sees an encrypted tunnel): write http://host:port")
    if url.port is None:
        wrong.append("name the port, such as :3128")
    if url.parts.path not in {"", "/"} or url.parts.query or url.parts.fragment:
        wrong.append("must end after the port: remove path, query and fragment")
    if wrong:
        raise ValueError("; ".join(wrong))
    return EgressProxy(url.host, url.port or 0, _basic(url.parts))


def _basic(parts: SplitResult) -> Secret | None:
    """Return the value of Proxy-Authorization (RFC 7617 section 2), or None without userinfo."""
    if "@" not in parts.netloc:
        return None
    user, password = (unquote(text or "", errors="replace") for text in (parts.username, parts.password))
    if ":" in user or "\ufffd" in user + password or not (user + password).isprintable():
        message = "user and password must be UTF-8 without control characters, the user without a colon"
        raise ValueError(message)
    return Secret("Basic " + b64encode(f"{user}:{password}".encode()).decode())


def listen(value: object) -> Listen:
    """Read `host:port`, `[address]:port` or `unix:/path`.

    Raises:
        ValueError: it is none.
    """
    text = _text(value)
    if text.startswith("unix:"):
        return UnixAddress(_socket_path(text.removeprefix("unix:")))
    host, colon, port = text.rpartition(":")
    if "/" in text or not colon or not host:
        message = "write host:port, such as 127.0.0.1:8080, or unix:/path"
        raise ValueError(message)
    if _PORT.fullmatch(port) is None or int(port) > _MAX_PORT:
        message = "the port must be a number from 1 to 65535"
        raise ValueError(message)
    if host == "*":
        message = f"name the address: 0.0.0.0:{port} for all of IPv4, [::]:{port} for all"
        raise ValueError(message)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        message = "an IPv6 address stands in brackets: write [::1]:8080"
        raise ValueError(message)
    return TcpAddress(_host(host.removeprefix("[").removesuffix("]").lower()), int(port))


def _socket_path(text: str) -> Path:
    if not text.isprintable() or not text.startswith("/") or text.endswith("/"):
        message = "a Unix socket needs an absolute path: write unix:/run/localpayment/proxy.sock"
        raise ValueError(message)
    if len(text.encode()) > SOCKET_PATH:
        message = f"the path of a Unix socket has at most {SOCKET_PATH} bytes: choose a shorter one"
        raise ValueError(message)
    return Path(text)


def audit_log(value: object) -> Path | Literal["stdout"]:
    """Read `stdout`, or the path of a file that need not be there yet.

    Raises:
        ValueError: it is neither.
    """
    text = _text(value)
    if text == "stdout":
        return "stdout"
    if "/" not in text or text.endswith("/"):
        message = "write stdout, or the path of a file, such as /var/log/localpayment/audit.jsonl"
        raise ValueError(message)
    return Path(text)


def hosts(value: object) -> frozenset[str]:
    """Read host names separated by commas, or a list of them; lower case, without port, IPv6 in brackets.

    Raises:
        ValueError: one of them is no host.
    """
    texts = value if isinstance(value, list) else _text(value).split(",")
    return frozenset(_accepted_host(_text(text)) for text in texts)


def _accepted_host(text: str) -> str:
    if "*" in text:
        message = (
            "an asterisk would let any page reach the sidecar (DNS rebinding): name the hosts, separated by commas"
        )
        raise ValueError(message)
    if text.startswith("[") and text.endswith("]"):
        return f"[{_host(text[1:-1].lower())}]"
    if ":" in text:
        message = "write hosts without scheme and port (any port is accepted), an IPv6 address in brackets"
        raise ValueError(message)
    return _host(text.lower())


def split_url(value: object, example: str) -> Url:
    """Split a URL so that urllib's own texts, which quote it, reach nobody.

    Raises:
        ValueError: it is none.
    """
    text = _text(value)
    if not text.isprintable() or any(character.isspace() for character in text) or "\\" in text:
        message = f"must hold no white space, control character or backslash: write it like {example}"
        raise ValueError(message)
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        host, port, parts = "", None, SplitResult("", "", "", "", "")
    if not host or port == 0:
        message = f"is no URL with a host and a port from 1 to 65535: write it like {example}"
        raise ValueError(message)
    return Url(parts, _host(host), port)


def _host(text: str) -> str:
    """Return an IP address in its shortest form, or a DNS name."""
    try:
        return ipaddress.ip_address(text).compressed
    except ValueError:
        pass
    if text.endswith("."):
        message = "write the host without the dot at its end"
        raise ValueError(message)
    if len(text) > _NAME_LENGTH or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        message = "the host is neither a DNS name (international ones in their xn-- form) nor an IP address"
        raise ValueError(message)
    return text


def _text(value: object) -> str:
    if not isinstance(value, str):
        message = "must be a text: put it in quotes"
        raise ValueError(message)  # noqa: TRY004 - pydantic collects ValueErrors only
    return value.strip()
