"""Does anything wait in the kernel that the event loop has yet to see? It only looks, and reads nothing."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Ear:
    """Hears what waits in the kernel on a socket that the event loop has yet to see."""

    __slots__ = ("_poll",)

    def __init__(self, raw: asyncio.Transport) -> None:
        self._poll = select.poll()
        self._poll.register(raw.get_extra_info("socket").fileno(), select.POLLIN)

    def quiet(self) -> bool:
        """Whether nothing waits: no end, and no bytes that nobody asked for."""
        return not self._poll.poll(0)
