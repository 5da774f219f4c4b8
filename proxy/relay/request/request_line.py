"""Judges a request line as strictly as RFC 9112 section 3 writes it: method, one space, target, one space, version.

Pure. It must never let a line pass that another reader could part elsewhere, and never repeat one: it may hold secrets.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from proxy.errors import BadRequestError, RelayError, TargetTooLongError

MOST_TARGET: Final = 8192  # bytes; nginx and Apache httpd accept as much by default
_MOST_LINE: Final = MOST_TARGET + 64  # a line is given up beyond it

_METHOD: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 section 5.6.2
_TARGET: Final = rb"[^\x00- \x7f]+"  # what a target may hold besides is the parser's to say
_LINE: Final = re.compile(rb"%b %b HTTP/1\.[01]" % (_METHOD, _TARGET)).fullmatch
_BEGINNING: Final = re.compile(rb"\r?|%b(?: (?:%b(?: [HTP/0-9.]*\r?)?)?)?" % (_METHOD, _TARGET)).fullmatch
_TARGET_BEGUN: Final = re.compile(rb"%b %b" % (_METHOD, _TARGET)).fullmatch
_PREFACE: Final = b"PRI * HTTP/2.0"  # RFC 9113 section 3.4
_TLS_HANDSHAKE: Final = b"\x16"  # RFC 8446 section 5.1


class WrongProtocol(StrEnum):
    """What was spoken to a listener that speaks another protocol: the values of a log field."""

    HTTP_2 = "http2"
    TLS = "tls"
    PLAIN_HTTP = "plain_http"

    @property
    def fix(self) -> str:
        """What the caller's operator should do."""
        return _FIXES[self]


_FIXES: Final = {
    WrongProtocol.HTTP_2: "HTTP/2 came to a listener of HTTP/1.1: let the client speak HTTP/1.1 from the start.",
    WrongProtocol.TLS: "TLS came to a listener of plain HTTP: let the client call http://, or set PROXY_TLS_CERT_FILE.",
    WrongProtocol.PLAIN_HTTP: "Plain HTTP came to a listener of TLS: let the client call https://.",
}


class WrongProtocolError(BadRequestError):
    """Another protocol was spoken; `came` says which."""

    def __init__(self, came: WrongProtocol) -> None:
        super().__init__(came.fix)
        self.came = came


def check_request_line(line: bytes) -> None:
    """Raise the refusal of a line, without its end, that is no request line of HTTP/1.1 or HTTP/1.0."""
    if len(line) > _MOST_LINE or _LINE(line) is None:
        raise _refusal(line)


def check_beginning(begun: bytes) -> None:
    """Raise the refusal of a line whose end has not come, unless it may become a request line."""
    if len(begun) > _MOST_LINE or _BEGINNING(begun) is None:
        raise _refusal(begun)


def target_too_long() -> TargetTooLongError:
    """Return the refusal of a target of more than MOST_TARGET bytes."""
    detail = f"The request target is longer than {MOST_TARGET} bytes, which is more than the sidecar accepts."
    return TargetTooLongError(detail)


def _refusal(line: bytes) -> RelayError:
    if line.startswith(_TLS_HANDSHAKE):
        return WrongProtocolError(WrongProtocol.TLS)
    if line == _PREFACE:
        return WrongProtocolError(WrongProtocol.HTTP_2)
    if len(line) > _MOST_LINE and (_LINE(line) or _TARGET_BEGUN(line)):
        return target_too_long()
    detail = "The request line must be a method, one space, a target, one space, and HTTP/1.1 or HTTP/1.0."
    return BadRequestError(detail)
