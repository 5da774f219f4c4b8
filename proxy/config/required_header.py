"""Which header field must every request carry, and with which value?

Pure. It is no credential: it keeps away requests that somebody else's words have made, such as a page's or a forged
URL's, whose sender cannot add a field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}", re.ASCII)  # a token of RFC 9110 section 5.6.2
_VALUE = re.compile(r"[!-~](?:[ !-~]{0,254}[!-~])?", re.ASCII)
# It is taken off before a request goes on, so it can be none that says something of the call.
_MEANING = frozenset(
    (
        "host", "connection", "transfer-encoding", "te", "trailer", "upgrade", "expect", "authorization", "cookie",
        "accept", "accept-encoding", "accept-language", "range", "origin", "via", "x-request-id", "traceparent",
        "x-capture", "x-client-code", "x-version", "x-proxy-key", "idempotency-key",
    )
)  # fmt: skip
_MEANING_PREFIXES = ("content-", "if-", "sec-", "proxy-")


@dataclass(frozen=True, slots=True)
class RequiredHeader:
    """A field; str() gives `Name: value` as it was written.

    Attributes:
        name: compared without case.
        value: compared whole.
    """

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}: {self.value}"


def required_header(value: object) -> RequiredHeader:
    """Read `Name: value`.

    Raises:
        ValueError: it is none, or the name says something of the call.
    """
    name, colon, content = (value if isinstance(value, str) else "").partition(":")
    name, content = name.strip(), content.strip()
    if not colon or _NAME.fullmatch(name) is None or _VALUE.fullmatch(content) is None:
        message = "write a name and a value in visible ASCII, such as X-Internal: yes"
        raise ValueError(message)
    if name.lower().replace("_", "-") in _MEANING or name.lower().startswith(_MEANING_PREFIXES):
        message = "this field says something of the call, and would be taken off it: choose a name of your own"
        raise ValueError(message)
    return RequiredHeader(name, content)
