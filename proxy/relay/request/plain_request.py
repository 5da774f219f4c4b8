"""Is this an ordinary request, and nothing but one? Read at once, from the bytes of one segment.

Pure. It must never accept what the server's parser, `admission`, `framing` or `headers` would refuse, nor let another
field cross than they do: whatever is unusual is not ordinary, and they judge it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.errors import RelayError
from proxy.http1.bounded_cache import keep
from proxy.http1.header_cache import MOST, is_harmless
from proxy.policy.identity import KEY_HEADER
from proxy.relay.request.admission import check_host
from proxy.relay.request.headers import crosses
from proxy.relay.trace_context import is_request_id

if TYPE_CHECKING:
    Field = tuple[bytes, bytes]

# Methods whose answers may have a body like any other; RFC 9112 section 3.
_REQUEST_LINE: Final = re.compile(rb"(GET|POST|PUT|PATCH|DELETE) (/[!-~]*) HTTP/1\.1").fullmatch
# RFC 9110 sections 5.5 and 5.6.2, with one space or none before the value and no white space behind it.
_FIELD: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)"
).fullmatch
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,8}").fullmatch
_HEAD_END: Final = b"\r\n\r\n"
_LINE_END: Final = b"\r\n"
LONGEST_HEAD: Final = 8000  # bytes; less than the server's parser accepts of a single line
MOST_FIELDS: Final = 64

_HOST: Final = b"host"
_LENGTH_NAME: Final = b"content-length"
_CONNECTION: Final = b"connection"
_CLOSE: Final = b"close"
_REQUEST_ID: Final = b"x-request-id"
_TRACE: Final = b"traceparent"
# What is asked for here, and what aiohttp's parser takes only once (its SINGLETON_HEADERS).
_ONCE: Final = frozenset(
    (
        *(_HOST, _LENGTH_NAME, _CONNECTION, _REQUEST_ID, _TRACE, KEY_HEADER),
        *(b"content-location", b"content-range", b"content-type", b"etag", b"max-forwards", b"server", b"user-agent"),
    )
)
# What pages in browsers send, what a mesh says of its attempts, and what old WebSockets hold, is looked at elsewhere.
_LOOKED_AT: Final = frozenset((b"origin", b"x-envoy-attempt-count"))
_LOOKED_AT_PREFIX: Final = b"sec-"
_FETCH_MODE: Final = b"sec-fetch-mode"  # of Node's fetch; a browser's never comes without Sec-Fetch-Site


# Of a header line: its field's name in lower case; the line as it goes to Localpayment, None if it does not; the value
# of a field that may be there only once, None for any other.
_Line = tuple[bytes, bytes | None, bytes | None]
# Of all lines: those that cross, each with its end; values of fields that may be there only once, by name; whether the
# caller wants the connection to end.
_Fields = tuple[bytes, Mapping[bytes, bytes], bool]


class PlainRequest(NamedTuple):
    """An ordinary request.

    Attributes:
        method: as sent.
        target: as sent.
        sent: lines of fields that cross, in order, as they go to Localpayment, each with its end.
        told: values of fields that may be there only once, by name in lower case.
        last: whether its caller wants the connection to end with it.
        body: None when none was declared.
    """

    method: str
    target: bytes
    sent: bytes
    told: Mapping[bytes, bytes]
    last: bool
    body: bytes | None

    @property
    def crossing(self) -> tuple[Field, ...]:
        """Fields that cross, raw; without the one that must be there, and with nothing else of what stays here."""
        parts = (line.partition(b": ") for line in self.sent.split(_LINE_END)[:-1])
        return tuple((name, value) for name, _, value in parts)


class Reader:
    """Reads requests to one listener.

    Args:
        hosts: as for `admission.check_host`.
        required: name in lower case and value of a field that must be there; None asks for none.
    """

    def __init__(self, hosts: frozenset[str] | None, required: Field | None = None) -> None:
        self._hosts = hosts
        self._required = required
        self._known: dict[bytes, _Line] = {}
        self._known_fields: dict[bytes, _Fields] = {}

    def read(self, data: bytes) -> PlainRequest | None:
        """Return the one request that these bytes make, or None if they are anything else."""
        end = data.find(_HEAD_END, 0, LONGEST_HEAD)
        line_end = data.find(_LINE_END, 0, end)
        if end < 0 or line_end < 0:
            return None
        begun = _REQUEST_LINE(data[:line_end])
        lines = data[line_end + len(_LINE_END) : end]
        fields = None if begun is None else self._known_fields.get(lines) or self._read_fields(lines)
        if begun is None or fields is None:
            return None
        sent, told, last = fields
        length, begin = told.get(_LENGTH_NAME), end + len(_HEAD_END)
        if len(data) - begin != int(length or 0):
            return None
        body = None if length is None else data[begin:]
        return PlainRequest(begun[1].decode("ascii"), begun[2], sent, told, last, body)

    def _read_fields(self, block: bytes) -> _Fields | None:
        """Return what crosses and what is told of all fields, if each is ordinary and they may enter."""
        lines = block.split(_LINE_END)
        known = self._known.get
        sent: list[bytes] = []
        told: dict[bytes, bytes] = {}
        comes_again = True
        for text in lines:
            line = known(text)
            if line is None:
                comes_again = False
                line = self._read_line(text)
                if line is None:
                    return None
            name, crossing, value = line
            if crossing is not None:
                sent.append(crossing)
            if value is not None:
                if name in told:
                    return None
                told[name] = value
        if len(lines) > MOST_FIELDS or _HOST not in told or not self._may_enter(told):
            return None
        sent.append(b"")
        fields = _LINE_END.join(sent), told, told.get(_CONNECTION, b"").lower() == _CLOSE
        return keep(self._known_fields, block, fields, most=MOST) if comes_again else fields

    def _may_enter(self, told: Mapping[bytes, bytes]) -> bool:
        return self._required is None or told.get(self._required[0]) == self._required[1]

    def _read_line(self, text: bytes) -> _Line | None:
        found = _FIELD(text)
        if found is None:
            return None
        name, value = found[1], found[2]
        folded = name.lower()
        if self._required is not None and folded == self._required[0]:
            return folded, None, value
        fate = crosses(folded)
        looked_at = folded in _LOOKED_AT or (folded.startswith(_LOOKED_AT_PREFIX) and folded != _FETCH_MODE)
        if fate is None or looked_at or not self._is_plain(folded, value):
            return None
        line = folded, name + b": " + value if fate else None, value if folded in _ONCE else None
        return keep(self._known, text, line, most=MOST) if is_harmless(folded, text) else line

    def _is_plain(self, name: bytes, value: bytes) -> bool:
        """Whether a field that decides something says the usual."""
        match name:
            case b"host":
                return self._accepts(value)
            case b"content-length":
                return _LENGTH(value) is not None
            case b"connection":
                return value.lower() in {b"keep-alive", _CLOSE}
            case b"x-request-id":
                return is_request_id(value)
            case _:
                return True

    def _accepts(self, host: bytes) -> bool:
        try:
            check_host((host,), self._hosts)
        except RelayError:
            return False
        return True
