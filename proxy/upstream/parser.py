"""Reads the answer to one request out of bytes, in whatever segments they come.

No I/O. llhttp judges the syntax, strictly, where `plain_head` does not; `framing` decides where the answer ends; what
neither bounds is counted. What comes behind the answer is never read, and never a reason to refuse it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from proxy.http1.answer_head import AnswerHeads
from proxy.http1.framing import Ending, Head, MalformedAnswerError, answer_framing, field_value

if TYPE_CHECKING:
    from proxy.upstream.model import Limits

_HEAD_END: Final = b"\r\n\r\n"
_SEAM: Final = len(_HEAD_END) - 1  # bytes before a segment in which an empty line that ends in it may have begun
_TELLING: Final = len(b"HTTP/")  # bytes by which an answer is told from a body
_FIRST_STATUS: Final = 100
_SWITCHING_PROTOCOLS: Final = 101
_FINAL_STATUS: Final = 200
_FRAMING_FIELDS: Final = frozenset((b"content-length", b"transfer-encoding"))
# What an honest chunk may need besides its data: 16 hex digits, two line ends, and a few more for the last chunk.
_CHUNK_FRAMING: Final = 32
# Names for what each answer is compared with: an enumeration looks its members up each time.
_EOF, _CHUNKS, _HEAD = Ending.EOF, Ending.CHUNKS, Ending.HEAD


class _Seen:
    """What llhttp has reported; apart from the parser, so that the two do not keep each other alive."""

    __slots__ = ("chunks", "done", "fields", "headed", "pieces", "reason")

    def __init__(self) -> None:
        self.reason = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.headed = False
        self.chunks = 0
        self.pieces: list[bytes] = []
        self.done = False

    def on_status(self, text: bytes) -> None:
        self.reason += text

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.headed = True

    def on_chunk_header(self) -> None:
        self.chunks += 1

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.done = True


class AnswerParser:
    """The answer to one request.

    Args:
        method: of the request.
        limits: bounds of the answer.
        heads: remembers heads that come again; None for one of its own.

    Attributes:
        head: the final answer's head, once it is complete.
        trailers: fields after a chunked body.
        complete: whether the whole answer was read.
        excess: the first bytes that came behind the answer, enough to tell another answer by.
    """

    __slots__ = (
        "_begun", "_excess_framing", "_heads", "_interim", "_left", "_limits", "_llhttp", "_method", "_seen", "_size",
        "_tail", "complete", "excess", "head", "trailers",
    )  # fmt: skip

    def __init__(self, method: bytes, limits: Limits, heads: AnswerHeads | None = None) -> None:
        self.head: Head | None = None
        self.trailers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.excess = b""
        self._method = method
        self._limits = limits
        self._heads = heads or AnswerHeads(limits.max_headers)
        self._interim = 0
        self._left = 0
        self._excess_framing = 0
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they came; return pieces of the body. Raises MalformedAnswerError."""
        if not self._begun:
            data = self._begin(data)
        while self.head is None and data:
            data = self._feed_head(data)
        if not data:
            return []
        if self.head is None or self.complete:
            self.excess = self.excess or data[:_TELLING]
            return []
        ending = self.head.framing.ending
        if ending is _EOF:
            return [data]
        if ending is _CHUNKS:
            return self._feed_chunks(data)
        piece = data[: self._left]
        self._left -= len(piece)
        self.complete = not self._left
        if len(piece) < len(data):
            self.excess = data[len(piece) : len(piece) + _TELLING]
        return [piece]

    def feed_eof(self) -> None:
        """Take a clean end of the connection, which completes only an answer without another ending."""
        self.complete = self.complete or (self.head is not None and self.head.framing.ending is Ending.EOF)

    def _begin(self, data: bytes) -> bytes:
        """Read the head if all of it is here and it is an ordinary one; return what is left to read."""
        self._begun = True
        end = data.find(_HEAD_END)
        if 0 <= end <= self._limits.max_head - len(_HEAD_END):
            head = self._heads.plain_head(self._method, data[:end])
            if head is not None:
                self._take(head)
                return data[end + len(_HEAD_END) :]
        self._expect_head()
        return data

    def _take(self, head: Head) -> None:
        self.head = head
        self._left = head.framing.length or 0
        self.complete = head.framing.ending is _HEAD

    def _expect_head(self) -> None:
        self._seen = _Seen()
        self._llhttp = HttpResponseParser(self._seen)
        self._size = 0
        self._tail = b""

    def _feed_head(self, data: bytes) -> bytes:
        """Give llhttp the head's part of the data, exactly; return the rest."""
        if not self._size and not data.startswith(b"H"):
            message = "it does not begin with a status line"
            raise MalformedAnswerError(message)
        end = self._part_end(data, 0)
        self._size += end
        if self._size > self._limits.max_head:
            message = f"its head is longer than {self._limits.max_head} bytes"
            raise MalformedAnswerError(message)
        try:
            self._feed_part(data[:end])
        except (HttpParserError, HttpParserUpgrade) as error:
            message = "its head breaks HTTP's grammar, or asks for an upgrade"
            raise MalformedAnswerError(message) from error
        if self._seen.headed:
            self._end_head()
        return data[end:]

    def _part_end(self, data: bytes, at: int) -> int:
        """Return where the next empty line ends, else the data's end.

        A head or a chunked body ends nowhere else. llhttp does not tell where one did, so it is never given more.
        """
        found = (self._tail + data[at : at + _SEAM]).find(_HEAD_END)
        if found >= 0:
            return at + found + len(_HEAD_END) - len(self._tail)
        found = data.find(_HEAD_END, at)
        return len(data) if found < 0 else found + len(_HEAD_END)

    def _feed_part(self, part: bytes) -> None:
        self._llhttp.feed_data(part)
        self._tail = (self._tail + part[-_SEAM:])[-_SEAM:]

    def _end_head(self) -> None:
        seen = self._seen
        status = self._llhttp.get_status_code()
        version = self._llhttp.get_http_version()
        if version not in ("1.0", "1.1") or status < _FIRST_STATUS or not field_value(seen.reason):
            message = "its status line is not that of HTTP/1.0 or HTTP/1.1"
            raise MalformedAnswerError(message)
        if len(seen.fields) > self._limits.max_headers:
            message = f"its head has more than {self._limits.max_headers} fields"
            raise MalformedAnswerError(message)
        if status < _FINAL_STATUS:
            self._skip_interim(status)
            return
        framing = answer_framing(self._method, status, version, seen.fields)
        self._take(Head(status, seen.reason, seen.fields, framing))
        seen.fields = self.trailers

    def _skip_interim(self, status: int) -> None:
        self._interim += 1
        if (
            status == _SWITCHING_PROTOCOLS
            or self._interim > self._limits.max_interim
            or any(name.lower() in _FRAMING_FIELDS for name, _ in self._seen.fields)
        ):
            message = "it switches protocols, or its interim answers are too many or declare a body"
            raise MalformedAnswerError(message)
        self._expect_head()

    def _feed_chunks(self, data: bytes) -> list[bytes]:
        seen = self._seen
        seen.pieces = []
        chunks, at = seen.chunks, 0
        try:
            while at < len(data) and not seen.done:
                end = self._part_end(data, at)
                self._feed_part(data[at:end])
                at = end
        except HttpParserError as error:
            message = "its chunked body breaks HTTP's grammar"
            raise MalformedAnswerError(message) from error
        self._bound_framing(at - sum(map(len, seen.pieces)), seen.chunks - chunks)
        self.complete = seen.done
        self.excess = data[at : at + _TELLING]
        return seen.pieces

    def _bound_framing(self, framing: int, chunks: int) -> None:
        """Bound chunk extensions and trailers, which llhttp does not; data sent earns no credit for later."""
        self._excess_framing = max(0, self._excess_framing + framing - chunks * _CHUNK_FRAMING)
        if self._excess_framing > self._limits.max_excess or len(self.trailers) > self._limits.max_headers:
            message = "its chunk extensions or trailers are too long"
            raise MalformedAnswerError(message)
        if any(name.lower() in _FRAMING_FIELDS for name, _ in self.trailers):
            message = "its trailers declare a framing"
            raise MalformedAnswerError(message)
