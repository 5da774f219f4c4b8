"""Localpayment's refusals of a token, and an origin that begins with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.origins import HELLO, request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.support.scripted_origin import Wire

PAYOUT = request("POST", "/api/payout", body=b'{"externalId": "order-1"}')

STREAM = request("POST", "/api/payout", body=b"x" * 4096)

LINE = b"POST /api/payout HTTP/1.1\r\n"

CHALLENGE = b'WWW-Authenticate: Bearer realm="api"\r\n'


def declined(body: object = None, fields: bytes = b"") -> bytes:
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return b"HTTP/1.1 401 Unauthorized\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, len(content), content)


def first(*answers: bytes) -> Callable[[Wire], Awaitable[None]]:
    """Answer the first calls of all connections with these, and every later one with HELLO."""
    left = list(answers)

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(left.pop(0) if left else HELLO)

    return script
