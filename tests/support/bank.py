"""A Localpayment that counts what it has carried out, by external id, and tells of it when its status is read."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

    from tests.support.scripted_origin import Wire

_ID: Final = re.compile(rb'"externalId": "([\w-]+)"')
_STATUS: Final = re.compile(rb"GET /api/transactions/([\w-]+)/status ")
HEAD: Final = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
SLOWEST: Final = 0.02  # seconds that a payment takes before, and again after, it is carried out


class Bank:
    """A script for `localpayment`; `executed` counts payments."""

    def __init__(self, chance: random.Random) -> None:
        self.executed: Counter[str] = Counter()
        self._chance = chance

    async def __call__(self, wire: Wire) -> None:
        while True:
            request = await wire.request()
            status, answer = self._status(request) or await self._carried_out(request)
            body = json.dumps(answer).encode()
            await wire.send(
                b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body)),
                body,
            )

    async def _carried_out(self, request: bytes) -> tuple[bytes, dict[str, object]]:
        found = _ID.search(request)
        assert found is not None
        external_id = found[1].decode()
        await asyncio.sleep(self._chance.uniform(0, SLOWEST))
        self.executed[external_id] += 1
        await asyncio.sleep(self._chance.uniform(0, SLOWEST))
        return b"201 Created", {"externalId": external_id}

    def _status(self, request: bytes) -> tuple[bytes, dict[str, object]] | None:
        found = _STATUS.match(request)
        if found is None:
            return None
        external_id = found[1].decode()
        if external_id in self.executed:
            return b"200 OK", {"externalId": external_id, "status": {"description": "COMPLETED"}}
        return b"404 Not Found", {}
