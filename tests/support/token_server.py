"""A token server that answers just these bytes, and an issuer that asks it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from proxy.config import Origin
from proxy.tokens.issuer import FetchFailedError, Issuer
from tests.support.fakes import BOUND, CREDENTIALS, FakeClock
from tests.support.scripted_origin import Wire, origin

if TYPE_CHECKING:
    from proxy.tokens.model import Issued
    from tests.support.scripted_origin import ScriptedOrigin

DATE = "Wed, 01 Jan 2025 12:00:00 GMT"
NOON = 1_735_732_800


def signed(**claims: Any) -> str:
    return jwt.encode(claims, "k" * 32, algorithm="HS256")


def answer(status: str, body: bytes | object = b"", *fields: str, date: str | None = DATE) -> bytes:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(payload)}", *([f"Date: {date}"] if date else []), *fields]
    return "\r\n".join([*lines, "", ""]).encode() + payload


PAIR = {"access": signed(exp=NOON + 300), "refresh": signed(exp=NOON + 86400)}


def asking(served: ScriptedOrigin, clock: FakeClock | None = None) -> Issuer:
    return Issuer(Origin("127.0.0.1", served.at.port, tls=False), clock or FakeClock(), None, None)


async def log_in(served: ScriptedOrigin, timeout: float = BOUND) -> Issued:  # noqa: ASYNC109 - handed on
    return await asking(served).log_in(CREDENTIALS, timeout)


async def met(*pieces: bytes) -> Issued:
    """Log in to a server that answers just this."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(*pieces)

    async with origin(script) as served:
        return await log_in(served)


async def failure(*pieces: bytes) -> FetchFailedError:
    with pytest.raises(FetchFailedError) as caught:
        await met(*pieces)
    return caught.value
