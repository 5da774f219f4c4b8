"""Goes through a request's header fields once: what crosses towards Localpayment, and what decides something.

Pure. It must never let a field cross that stays here, and never lose the value of one that a rule asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.http1.framing import field_value, is_token
from proxy.relay.fields import FOLD, HOP_BY_HOP, USUAL_OPTIONS, connection_options
from proxy.relay.request.trace_context import is_request_id

if TYPE_CHECKING:
    from proxy.relay.fields import Field

# Values of the fields that decide something, in order, by name in lower case.
Told = Mapping[bytes, tuple[bytes, ...]]
# Of one field: its name as it is asked for; its line as it goes to Localpayment, None if it does not; its value, None
# if it decides nothing.
Read = tuple[bytes, bytes | None, tuple[bytes, ...] | None]

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
        *(HOST, LENGTH, b"content-location", b"content-range", b"content-type", b"etag", b"max-forwards", b"server"),
        b"user-agent",
    )
)
# Also decisive when written with `_`, as CGI and WSGI servers would read them.
_EITHER_WAY: Final = OVERRIDES | {REQUEST_ID, TRACEPARENT, TRACESTATE, *CONTENT}
_DECISIVE: Final = (
    ONCE
    | _EITHER_WAY
    | {
        CODING,
        CONNECTION,
        OLD_WEBSOCKET,
        b"expect",
        b"upgrade",
        b"via",
        b"authorization",
        b"x-proxy-key",
        b"x-envoy-attempt-count",
    }
    | set(PAGE)
)
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
USUAL_CONNECTION: Final = frozenset(((b"keep-alive",), (b"close",), (b"Keep-Alive",)))
_LINE_END: Final = b"\r\n"


class RequestFields(NamedTuple):
    """The fields of one request.

    Attributes:
        lines: those that cross, in order, each with its end.
        told: values of those that decide something.
        request_id: the caller's X-Request-Id, if it sent exactly one that is usable; only such a one crosses.
        repeated: whether one is there again that may be there once, or that says what becomes of the connection.
        watched: whether one may forbid that the others cross.
        clear: whether each is a field of HTTP in exactly one reading.
    """

    lines: bytes
    told: Told
    request_id: bytes | None = None
    repeated: bool = False
    watched: bool = True
    clear: bool = True


def read_field(name: bytes, value: bytes, required: bytes | None = None) -> Read:
    """Tell whether one field crosses and whether it decides something.

    Args:
        name: as sent.
        value: as sent, without white space around it.
        required: name in lower case of the field that lets a request in; it stays here.
    """
    asked = name.lower()
    folded = name.translate(FOLD) if b"_" in asked else asked
    if asked == required:
        return asked, None, (value,)
    if folded in _EITHER_WAY:
        asked = folded
    crosses = folded not in _STAYS and not folded.startswith(_STAY_PREFIXES)
    return asked, name + b": " + value if crosses else None, (value,) if asked in _DECISIVE else None


def gather(read: Iterable[Read]) -> RequestFields:
    """Return what all fields of a request come to."""
    sent: list[bytes] = []
    told: dict[bytes, tuple[bytes, ...]] = {}
    repeated = False
    for name, line, value in read:
        if line is not None:
            sent.append(line)
        if value is not None:
            if name in told:
                value = told[name] + value  # noqa: PLW2901 - all values of the field
                repeated = repeated or name in ONCE or name == CONNECTION
            told[name] = value
    options = told.get(CONNECTION)
    watched = not _WATCHED.isdisjoint(told)
    if options is not None and options not in USUAL_CONNECTION:
        watched = True
        named = set[bytes]().union(*map(connection_options, options))
        if not named <= USUAL_OPTIONS:
            sent = _without(sent, named)
    ids = told.get(REQUEST_ID)
    request_id = None if ids is None or len(ids) > 1 or not is_request_id(ids[0]) else ids[0]
    if ids is not None and request_id is None:
        sent = _without(sent, {REQUEST_ID})
    sent.append(b"")
    return RequestFields(_LINE_END.join(sent), told, request_id, repeated, watched)


def read_fields(headers: Iterable[Field], required: bytes | None = None) -> RequestFields:
    """Go through raw fields that another parser has parted."""
    pairs = tuple(headers)
    fields = gather([read_field(name, value, required) for name, value in pairs])
    if all(is_token(name) and field_value(value) for name, value in pairs):
        return fields
    return RequestFields(b"", fields.told, clear=False)


def without_lines(lines: bytes, names: frozenset[bytes]) -> bytes:
    """Return the lines of all other fields."""
    return _LINE_END.join(_without(lines.split(_LINE_END), names))


def pairs_of(told: Told, names: Iterable[bytes]) -> list[Field]:
    """Return the values of some fields, each with its field's name."""
    return [(name, value) for name in names for value in told.get(name, ())]


def _without(lines: list[bytes], names: Iterable[bytes]) -> list[bytes]:
    return [line for line in lines if line.partition(b":")[0].translate(FOLD) not in names]
