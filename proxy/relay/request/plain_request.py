"""Reads a request from the bytes of one segment, or takes over one that the server's parser has read.

Pure. From bytes it must never accept what the server's parser would refuse, nor read it otherwise: whatever has a
coding, an expectation or another protocol in it, or more than one request, is left to that parser.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from proxy.http1.header_cache import MOST, is_harmless, keep
from proxy.relay.request.framing import HTTP_1_1
from proxy.relay.request.request_fields import (
    CODING,
    CONNECTION,
    HOST,
    LENGTH,
    OLD_WEBSOCKET,
    Read,
    RequestFields,
    gather,
    read_field,
    read_fields,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.http1.proxied_fields import Field

# RFC 9112 section 3.
_REQUEST_LINE: Final = re.compile(rb"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS) (/[!-~]*) HTTP/1\.1").fullmatch
# RFC 9110 sections 5.5 and 5.6.2, with one space or none before the value and no white space behind it.
_FIELD: Final = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ?((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)"
).fullmatch
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,8}").fullmatch
_HEAD_END: Final = b"\r\n\r\n"
_LINE_END: Final = b"\r\n"
LONGEST_HEAD: Final = 8000  # bytes; less than the server's parser accepts of a single line
MOST_FIELDS: Final = 64
_CLOSE: Final = b"close"
# With most values of these, or any, a request is for the parser.
_NOT_ANY: Final = frozenset((CODING, CONNECTION, LENGTH, OLD_WEBSOCKET, b"expect", b"upgrade"))
_USUAL: Final = frozenset((b"keep-alive", _CLOSE))


class PlainRequest(NamedTuple):
    """One request.

    Attributes:
        method: as sent.
        target: as sent.
        version: of HTTP, as the request line says it.
        fields: what its header fields come to.
        last: whether its caller wants the connection to end with it.
        body: as far as it came with the head; None when none was declared, or when the server's parser has it.
        owed: bytes of the body that did not come with the head.
        http_1_1: whether the caller understands chunks and interim answers.
    """

    method: str
    target: bytes
    version: tuple[int, int]
    fields: RequestFields
    last: bool
    body: bytes | None = None
    owed: int = 0
    http_1_1: bool = True

    def __repr__(self) -> str:
        return object.__repr__(self)  # its body may hold a card's number


class Reader:
    """Reads requests to one listener.

    Args:
        required: name in lower case of the field that lets a request in, if one is asked for.
        most_body: bytes of a body that is taken piece by piece here.
    """

    def __init__(self, required: bytes | None = None, *, most_body: int = 0) -> None:
        self._required = required
        self._most_body = most_body
        self._known: dict[bytes, Read] = {}
        self._known_fields: dict[bytes, RequestFields] = {}

    def read(self, data: bytes) -> PlainRequest | None:
        """Return the one request that these bytes begin with, or None if they are anything else."""
        end = data.find(_HEAD_END, 0, LONGEST_HEAD)
        line_end = data.find(_LINE_END, 0, end)
        if end < 0 or line_end < 0:
            return None
        begun = _REQUEST_LINE(data, 0, line_end)
        block = data[line_end + len(_LINE_END) : end]
        fields = None if begun is None else self._known_fields.get(block) or self._read_fields(block)
        if begun is None or fields is None:
            return None
        length, body = fields.told.get(LENGTH), None
        owed = end + len(_HEAD_END) - len(data)
        if length is not None:
            declared, body = int(length[0]), data[end + len(_HEAD_END) :]
            owed += declared
            if declared > self._most_body:
                return None
        if owed < 0:
            return None
        return PlainRequest(begun[1].decode("ascii"), begun[2], HTTP_1_1, fields, fields.last, body, owed)

    def parsed(
        self, method: str, target: bytes, version: tuple[int, int], headers: Sequence[Field], *, last: bool
    ) -> PlainRequest:
        """Take over a request whose head the server's parser has read; `headers` are raw."""
        fields = read_fields(headers, self._required)
        return PlainRequest(method, target, version, fields, last, http_1_1=version >= HTTP_1_1)

    def _read_fields(self, block: bytes) -> RequestFields | None:
        """Return what the fields come to, if each can be read in one way only."""
        texts = block.split(_LINE_END)
        if len(texts) > MOST_FIELDS:
            return None
        read = list(map(self._known.get, texts))
        comes_again = all(read)
        while not all(read):
            at = read.index(None)
            read[at] = line = self._read_line(texts[at])
            if line is None:
                return None
        fields = gather(cast("list[Read]", read))
        if fields.repeated or HOST not in fields.told:
            return None
        return keep(self._known_fields, block, fields, most=MOST) if comes_again else fields

    def _read_line(self, text: bytes) -> Read | None:
        """Return what a line comes to, if the server's parser would take it so and go on as usual."""
        found = _FIELD(text)
        if found is None:
            return None
        line = read_field(found[1], found[2], self._required)
        name = line[0]
        if name in _NOT_ANY and not _is_usual(name, found[2]):
            return None
        if name == self._required or not is_harmless(name, text):
            return line
        return keep(self._known, text, line, most=MOST)


def _is_usual(name: bytes, value: bytes) -> bool:
    """Whether a field that decides how the request is read says the usual."""
    if name == LENGTH:
        return _LENGTH(value) is not None
    return name == CONNECTION and value.lower() in _USUAL
