"""Encrypts and decrypts one TLS connection in memory, with OpenSSL.

No I/O: the holder of the socket moves the records. So it is always known how much of a call the socket has taken, and
whether the origin has ended the connection.
"""

from __future__ import annotations

import ssl
from typing import Final

_RECORD: Final = 16 * 1024  # bytes that a record may hold: RFC 8446 section 5.1
_HEADER: Final = 5  # bytes before them, of which the last two tell how many follow


class Channel:
    """The client's end of a TLS connection.

    Args:
        context: verifies certificate and name.
        host: name or address that the certificate must be for.
        session: of the same context, to be resumed if the origin likes.

    Attributes:
        ended: whether the origin has said that it sends no more (close_notify).
        midway: whether a record has come in part, which cannot be read yet.
        broken: whether a record was tampered with; nothing is opened any more.
        settled: whether it is none of these.
    """

    __slots__ = ("_begun", "_incoming", "_left", "_object", "_outgoing", "broken", "ended", "midway", "settled")

    def __init__(self, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host, session=session)
        self._begun = b""  # what has come of a record's header
        self._left = 0  # bytes to come of a record whose header has come
        self.ended = False
        self.midway = False
        self.broken = False
        self.settled = True

    @property
    def session(self) -> ssl.SSLSession | None:
        """What the next connection may resume; under TLS 1.3 only once the origin has sent a ticket."""
        return self._object.session

    @property
    def resumed(self) -> bool:
        """Whether it has resumed a session, so that no certificate was shown."""
        return bool(self._object.session_reused)

    def handshake(self, records: bytes) -> bool:
        """Go on with the handshake, given what came; return whether it is done. `outgoing` has what is to be sent.

        Raises:
            ssl.SSLError: it failed.
        """
        self._follow(records)
        self._incoming.write(records)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    @property
    def owes(self) -> bool:
        """Whether `outgoing` has anything."""
        return self._outgoing.pending > 0

    def outgoing(self) -> bytes:
        """Take the records that are to be sent."""
        return self._outgoing.read()

    def seal(self, data: bytes | memoryview) -> bytes:
        """Return the records that carry these bytes."""
        self._object.write(data)
        return self._outgoing.read()

    def open(self, records: bytes) -> bytes:
        """Return the bytes that these records carry, as far as they are complete, and up to the first broken one."""
        if self.midway or len(records) != _HEADER + int.from_bytes(records[3:_HEADER]):
            self._follow(records)
        incoming, read = self._incoming, self._object.read
        incoming.write(records)
        pieces: list[bytes] = []
        try:
            while not (self.ended or self.broken):
                piece = read(_RECORD)
                pieces.append(piece)
                self.ended = not piece
                # Asking once more would tell by an exception that nothing is there, at a tenth of the call's price.
                if not incoming.pending and not self._object.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # a record that was changed, an alert, or no TLS at all
            self.broken = True
        self.settled = not (self.midway or self.ended or self.broken)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _follow(self, records: bytes) -> None:
        """Track where the last record ends; OpenSSL does not tell how much of a partial one it keeps."""
        at, size = self._left, len(records)
        if at <= size and self._begun:
            records, self._begun = self._begun + records, b""
            size = len(records)
        while at + _HEADER <= size:
            at += _HEADER + int.from_bytes(records[at + 3 : at + _HEADER])
        self._left = max(at - size, 0)
        self._begun = records[at:]
        self.midway = at != size
        self.settled = not (self.midway or self.ended or self.broken)
