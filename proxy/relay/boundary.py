"""Where does the caller's stream of requests stand: between two of them, inside one, or can nobody tell?

Pure. In doubt it is inside: whoever took bytes from inside a request for a new one would make a call of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from proxy.relay.framing import declared_length

if TYPE_CHECKING:
    from collections.abc import Sequence

    class Message(Protocol):
        """A request's head, as aiohttp's parser tells of it."""

        @property
        def raw_headers(self) -> Sequence[tuple[bytes, bytes]]:
            """All fields."""
            ...

        @property
        def chunked(self) -> bool:
            """Whether its body is."""
            ...

        @property
        def upgrade(self) -> bool:
            """Whether it offers another protocol."""
            ...


_HEAD_END: Final = b"\r\n\r\n"


class Boundary:
    """What the server's parser has been given; it tells of heads, but not of what it still waits for."""

    __slots__ = ("_owed", "_surplus")

    def __init__(self) -> None:
        self._owed: int | None = 0  # bytes that the parser lacks of the last request; None: nobody can tell any more
        self._surplus = 0

    @property
    def between(self) -> bool:
        """Whether the parser holds nothing of a request that is not complete."""
        return self._owed == 0

    @property
    def overran(self) -> bool:
        """Whether bytes came behind a request that offers another protocol; the parser loses such bytes."""
        return self._surplus > 0

    def fed(self, data: bytes, begun: int, message: Message | None) -> None:
        """Note that the parser was given bytes.

        Args:
            data: the bytes.
            begun: how many requests the parser has told of since.
            message: the last of them; None if there is none, or it could not be read.
        """
        if message is not None and message.upgrade:
            # Exact when the request's head ends with the first empty line; whatever else happened counts as too much.
            rest = _rest(data, message)
            self._surplus = 1 if rest is None else -rest
        elif not begun:
            self._surplus += len(data)
        if data and self._owed is not None:
            self._owed = self._still_owed(data, begun, message)

    def _still_owed(self, data: bytes, begun: int, message: Message | None) -> int | None:
        if self._owed:
            return None if begun or len(data) > self._owed else self._owed - len(data)
        if begun != 1 or message is None or message.chunked or message.upgrade:
            return None
        rest = _rest(data, message)
        return None if rest is None or rest < 0 else rest


def _rest(data: bytes, message: Message) -> int | None:
    """Return how many bytes are to follow the data that brought a head; None if that head did not end in it."""
    end = data.find(_HEAD_END)
    return None if end < 0 else end + len(_HEAD_END) + (declared_length(message.raw_headers) or 0) - len(data)
