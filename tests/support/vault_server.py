"""A small Vault on a real socket: logins, tokens and the KV engine, version 2, answering as its HTTP API documents."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy.config import Origin

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

ROOT = "hvs.root-7f3a"
ROLE_ID, SECRET_ID = "role-id", "secret-id-7f3a"
ROLE, JWT = "payments", "jwt-7f3a"
NOT_FOUND: dict[str, Any] = {"errors": []}
DENIED: dict[str, Any] = {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}


@dataclass
class FakeVault:
    """What it holds, what it was asked, and what goes wrong.

    `secrets` is keyed by mount/path; `proofs` are the logins it accepts; `fault` answers every read, `login_fault`
    every login.
    """

    origin: Origin = field(default_factory=lambda: Origin("127.0.0.1", 0, tls=False))
    secrets: dict[str, Any] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=lambda: {ROOT})
    proofs: dict[str, dict[str, str]] = field(
        default_factory=lambda: {
            "approle": {"role_id": ROLE_ID, "secret_id": SECRET_ID},
            "kubernetes": {"role": ROLE, "jwt": JWT},
        }
    )
    lease: int = 1200
    fault: web.Response | None = None
    login_fault: web.Response | None = None
    hangs: bool = False
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    logins: int = 0
    reads: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def log_in(self, request: web.Request) -> web.Response:
        self.logins += 1
        if self.login_fault is not None:
            return self.login_fault
        if await request.json() != self.proofs.get(request.match_info["mount"]):
            return web.json_response({"errors": ["invalid role or secret ID"]}, status=400)
        token = f"hvs.token-7f3a-{next(self._numbers)}"
        self.tokens.add(token)
        auth = {"client_token": token, "policies": ["default"], "lease_duration": self.lease, "renewable": True}
        return web.json_response({"request_id": "1", "lease_duration": 0, "data": None, "auth": auth})

    async def read(self, request: web.Request) -> web.StreamResponse:
        self.reads += 1
        self.headers = dict(request.headers)
        if self.hangs:
            await self.closing.wait()
        if self.fault is not None:
            return self.fault
        if request.headers.get("X-Vault-Token") not in self.tokens:
            return web.json_response(DENIED, status=403)
        document = self.secrets.get(f"{request.match_info['mount']}/{request.match_info['path']}")
        if document is None:
            return web.json_response(NOT_FOUND, status=404)
        metadata = {"created_time": "2026-01-01T00:00:00Z", "deletion_time": "", "destroyed": False, "version": 1}
        return web.json_response({"request_id": "2", "data": {"data": document, "metadata": metadata}, "auth": None})


@contextlib.asynccontextmanager
async def vault_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeVault]:
    """Serve one on loopback."""
    vault = FakeVault()
    application = web.Application()
    application.router.add_post("/v1/auth/{mount:.+}/login", vault.log_in)
    application.router.add_get("/v1/{mount}/data/{path:.+}", vault.read)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    vault.origin = Origin("localhost" if tls else "127.0.0.1", site.port, tls=tls is not None)
    try:
        yield vault
    finally:
        vault.closing.set()
        await runner.cleanup()
