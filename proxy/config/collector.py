"""Where do traces go, and with which header fields? Text → Collector; a file → fields whose values are secrets.

No refusal may quote a field's value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from proxy.config.addresses import HTTP_PORT, HTTPS_PORT, Collector, Origin
from proxy.config.files import UnusableFileError, read_secret
from proxy.config.parsing import split_url
from proxy.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

_EXAMPLE = "http://127.0.0.1:4318"
_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)*", re.ASCII)
_SIGNAL = "/v1/traces"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", re.ASCII)  # a token of RFC 9110 section 5.6.2
_VALUE = re.compile(r"[!-~](?:[ !-~]*[!-~])?", re.ASCII)
# What the exporter writes itself.
_TAKEN = frozenset(("host", "content-type", "content-length", "content-encoding", "transfer-encoding", "connection"))


def collector(value: object) -> Collector:
    """Read `http://host:port`, or https, with a path if the collector has one.

    Raises:
        ValueError: it is none; the text names everything that is wrong with it.
    """
    url = split_url(value, _EXAMPLE)
    parts, path = url.parts, url.parts.path.rstrip("/")
    wrong = []
    if parts.scheme not in {"https", "http"}:
        wrong.append("must begin with https:// or http://")
    if "@" in parts.netloc:
        wrong.append("must hold no user or password: write them into PROXY_OTEL_HEADERS_FILE")
    if path.endswith(_SIGNAL):
        wrong.append(f"must end before {_SIGNAL}, which is added to it")
    elif _PATH.fullmatch(path) is None:
        wrong.append("has a path that cannot be used: write letters, digits and -._~ between its slashes")
    if parts.query or parts.fragment:
        wrong.append("must hold neither query nor fragment: remove everything from ? or # on")
    if wrong:
        raise ValueError("; ".join(wrong))
    tls = parts.scheme == "https"
    return Collector(Origin(url.host, url.port or (HTTPS_PORT if tls else HTTP_PORT), tls), path)


def read_headers(path: Path) -> tuple[tuple[str, Secret], ...]:
    """Read a file of header fields, each `Name: value` on a line of its own; blocks.

    Raises:
        UnusableFileError: it cannot be read, or a line is no field that may be sent.
    """
    lines = read_secret(path).text.reveal().splitlines()
    return tuple(_field(number, line) for number, line in enumerate(lines, 1) if line.strip())


def _field(number: int, line: str) -> tuple[str, Secret]:
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
        message = f"line {number} is no header field: write Name: value, in visible ASCII"
        raise UnusableFileError(message)
    if name.lower() in _TAKEN:
        message = f"line {number} names a field that the exporter writes itself: remove it"
        raise UnusableFileError(message)
    return name, Secret(value)
