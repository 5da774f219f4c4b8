"""`serve` as a process of its own, in front of a scripted Localpayment, and the lines that it logs."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.processes import Running, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.origins import Localpayment


@dataclass(frozen=True)
class Served:
    """A `serve` that holds a token, and where it listens."""

    process: Running
    url: str
    admin_url: str

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.process.said.splitlines()) if line["event"] == event]


@contextlib.asynccontextmanager
async def serving(there: Localpayment, **more: str) -> AsyncIterator[Served]:
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": there.url,
        "LOCALPAYMENT_USERNAME": "anything",
        "LOCALPAYMENT_PASSWORD": "anything",
        "PROXY_LISTEN": "127.0.0.1:0",
        "PROXY_ADMIN_LISTEN": "127.0.0.1:0",
        **more,
    }
    async with running("serve", settings=settings) as process:
        started = json.loads(await process.says("sidecar.started"))
        await process.says("token.refreshed")
        yield Served(process, started["data"], started["admin"])
