"""Goes through a request's header fields once: what crosses towards Localpayment, and what decides something.

Pure. It must never let a field cross that stays here, and never lose the value of one that a rule asks for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.http1.framing import field_value, is_token
from proxy.http1.proxied_fields import FOLD, HOP_BY_HOP, USUAL_OPTIONS, connection_options
from proxy.relay.request.trace_context import is_request_id

if TYPE_CHECKING:
    from proxy.http1.proxied_fields import Field

# Values of the fields that decide something, in order, by name in lower case.
Told = Mapping[bytes, tuple[bytes, ...]]
# Of one field: its name as it is asked for; its line as it goes to Localpayment, with its end, empty if it does not;
# its name and value, None if it decides nothing.
Read = tuple[bytes, bytes, tuple[bytes, tuple[bytes, ...]] | None]

HOST: Final = b"host"
LENGTH: Final = b"content-length"
CODING: Final = b"transfer-encoding"
CONNECTION: Final = b"connection"
REQUEST_ID: Final = b"x-request-id"
TRACEPARENT: Final = b"traceparent"
TRACESTATE: Final = b"tracestate"
OLD_WEBSOCKET: Final = b"sec-websocket-key1"  # for which aiohttp's parser refuses a request
CONTENT: Final = (b"content-type", b"content-encoding")
# What a page in a browser adds.
PAGE: Final = (b"origin", b"sec-fetch-site", b"sec-fetch-mode")
# Some frameworks carry out the operation that these name instead of the one in the request line, which was judged.
OVERRIDES: Final = frozenset(
    (
        b"x-http-method-override", b"x-http-method", b"x-http-verb", b"x-method-override", b"x-original-method",
        b"x-original-url", b"x-original-uri", b"x-rewrite-url", b"x-rewrite-uri", b"x-script-name",
    )
)  # fmt: skip
# What aiohttp's parser takes only once (its SINGLETON_HEADERS).
ONCE: Final = frozenset(
    (
        HOST, LENGTH, b"content-location", b"content-range", b"content-type", b"etag", b"max-forwards", b"server",
        b"user-agent",
    )
)  # fmt: skip
# Also decisive when written with `_`, as CGI and WSGI servers would read them.
_EITHER_WAY: Final = OVERRIDES | {REQUEST_ID, TRACEPARENT, TRACESTATE, *CONTENT}
_DECISIVE: Final = ONCE | _EITHER_WAY | {
    CODING, CONNECTION, OLD_WEBSOCKET, b"expect", b"upgrade", b"via", b"authorization", b"x-proxy-key",
    b"x-envoy-attempt-count", *PAGE,
}  # fmt: skip
_WATCHED: Final = OVERRIDES | {b"via"}
_STAYS: Final = HOP_BY_HOP | {
    # The credential, the host and the framing are ours to write; `Expect` was answered here.
    b"authorization", b"host", b"content-length", b"expect",
    # Who calls from where is no business of Localpayment's, and no claim of the caller's is passed on as ours.
    b"forwarded", b"x-real-ip", b"cookie", b"cookie2",
    # The caller's key to the policy.
    b"x-proxy-key",
}  # fmt: skip
_STAY_PREFIXES: Final = (b"proxy-", b"x-forwarded-")
# What Connection mostly holds, and whether the connection ends then.
_LAST: Final[Mapping[tuple[bytes, ...], bool]] = {(b"keep-alive",): False, (b"Keep-Alive",): False, (b"close",): True}
_LINE_END: Final = b"\r\n"


class RequestFields(NamedTuple):
    """The fields of one request.

    Attributes:
        lines: those that cross, in order, each with its end.
        told: values of those that decide something.
        request_id: the caller's X-Request-Id, if it sent exactly one that is usable; only such a one crosses.
        repeated: whether one is there again that may be there once, or that says what becomes of the connection.
        watched: whether one may forbid that the others cross.
        last: whether Connection says that the connection ends with the request.
        clear: whether each is a field of HTTP in exactly one reading.
    """

    lines: bytes
    told: Told
    request_id: bytes | None = None
    repeated: bool = False
    watched: bool = True
    last: bool = False
    clear: bool = True

    def __repr__(self) -> str:
        return object.__repr__(self)  # a field may hold a caller's key


def read_field(name: bytes, value: bytes, required: bytes | None = None) -> Read:
    """Tell whether one field crosses and whether it decides something.

    Args:
        name: as sent.
        value: as sent, without white space around it.
        required: name in lower case of the field that lets a request in; it stays here.
    """
    asked = folded = name.lower()
    if asked == required:
        return asked, b"", (asked, (value,))
    if b"_" in asked:
        folded = name.translate(FOLD)
        if folded in _EITHER_WAY:
            asked = folded
    stays = folded in _STAYS or folded.startswith(_STAY_PREFIXES)
    line = b"" if stays else b"%b: %b\r\n" % (name, value)
    return asked, line, (asked, (value,)) if asked in _DECISIVE else None


def gather(read: Sequence[Read]) -> RequestFields:
    """Return what all fields of a request come to."""
    lines = b"".join([one[1] for one in read])
    pairs = [one[2] for one in read if one[2] is not None]
    told = dict(pairs)
    repeated = len(told) != len(pairs)
    if repeated:
        told, repeated = _with_all_values(pairs)
    watched = not _WATCHED.isdisjoint(told)
    options, ids = told.get(CONNECTION), told.get(REQUEST_ID)
    last = False if options is None else _LAST.get(options)
    if last is None and options is not None:
        named = set[bytes]().union(*map(connection_options, options))
        last, watched = b"close" in named, True
        if not named <= USUAL_OPTIONS:
            lines = without_lines(lines, named)
    request_id = None
    if ids is not None:
        request_id = ids[0] if len(ids) == 1 and is_request_id(ids[0]) else None
        if request_id is None:
            lines = without_lines(lines, {REQUEST_ID})
    return RequestFields(lines, told, request_id, repeated, watched, bool(last))


def _with_all_values(pairs: Sequence[tuple[bytes, tuple[bytes, ...]]]) -> tuple[dict[bytes, tuple[bytes, ...]], bool]:
    """Return all values of each field, and whether one is there again that may be there only once."""
    told: dict[bytes, tuple[bytes, ...]] = {}
    for name, value in pairs:
        told[name] = told.get(name, ()) + value
    return told, any(len(values) > 1 and (name in ONCE or name == CONNECTION) for name, values in told.items())


def read_fields(headers: Iterable[Field], required: bytes | None = None) -> RequestFields:
    """Go through raw fields that another parser has parted."""
    pairs = tuple(headers)
    fields = gather([read_field(name, value, required) for name, value in pairs])
    if all(is_token(name) and field_value(value) for name, value in pairs):
        return fields
    return RequestFields(b"", fields.told, clear=False)


def without_lines(lines: bytes, names: Collection[bytes]) -> bytes:
    """Return the lines of all other fields."""
    folded = _LINE_END + lines.translate(FOLD)
    for name in names:
        begins = b"%b%b: " % (_LINE_END, name)
        while (at := folded.find(begins)) >= 0:
            end = folded.index(_LINE_END, at + len(begins))
            lines, folded = lines[:at] + lines[end:], folded[:at] + folded[end:]
    return lines


def pairs_of(told: Told, names: Iterable[bytes]) -> list[Field]:
    """Return the values of some fields, each with its field's name."""
    return [(name, value) for name in names for value in told.get(name, ())]
