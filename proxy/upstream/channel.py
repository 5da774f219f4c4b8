"""How do a call's bytes become TLS records, and records an answer's bytes? OpenSSL does it, in memory.

No I/O: whoever holds the socket moves the records. So it is known at every moment what the socket has taken of a call,
and whether the origin has said that it will send no more.
"""

from __future__ import annotations

import ssl
from typing import Final

# RFC 8446 section 5.1.
_RECORD: Final = 16 * 1024  # bytes that a record may hold
_HEADER: Final = 5  # bytes; the last two say how many follow


class Channel:
    """The client's end of a TLS connection.

    Args:
        context: verifies certificate and name.
        host: name or address that the certificate must be for.

    Attributes:
        ended: whether the origin has said that it sends no more (close_notify).
        torn: whether a record may have come in part, so that the origin is about to say something; in doubt it is so.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "ended", "torn")

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self.ended = False
        self.torn = False

    def shake(self, records: bytes) -> bool:
        """Go on with the handshake, given what came; return whether it is done. `outgoing` has what is to be sent.

        Raises:
            ssl.SSLError: it failed.
        """
        self._incoming.write(records)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.torn = self._incoming.pending > 0
        return True

    def outgoing(self) -> bytes:
        """Take the records that are to be sent."""
        return self._outgoing.read()

    def seal(self, data: bytes) -> bytes:
        """Return the records that carry these bytes."""
        self._object.write(data)
        return self._outgoing.read()

    def open(self, records: bytes) -> bytes:
        """Return the bytes that these records carry, as far as they are complete.

        Raises:
            ssl.SSLError: somebody has changed them, or they are no TLS.
        """
        incoming, read = self._incoming, self._object.read
        incoming.write(records)
        pieces: list[bytes] = []
        try:
            while not self.ended:
                piece = read(_RECORD)
                pieces.append(piece)
                self.ended = not piece
                # Asking once more would tell by an exception that nothing is there, at a tenth of the call's price.
                if not incoming.pending and not self._object.pending():
                    self.torn = False
                    break
        except ssl.SSLWantReadError:
            self.torn = self.torn or not _whole(records)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _whole(records: bytes) -> bool:
    """Whether these bytes, which begin with a record, end with one."""
    at = 0
    while at + _HEADER <= len(records):
        at += _HEADER + int.from_bytes(records[at + 3 : at + 5])
    return at == len(records)
