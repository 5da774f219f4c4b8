"""Calls Vault's HTTP API, on one connection a load, bounded in time and size.

A token goes to the configured server only: no redirect is followed, the certificate is always verified, and no text of
an answer is ever quoted.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, Self

import aiohttp

from proxy.credentials.model import CredentialSourceError
from proxy.http1.head_limits import MAX_FIELDS, MAX_HEAD, is_too_large
from proxy.process import landlock

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from proxy.config import Origin
    from proxy.secret import Secret

VAULT_TIMEOUT: Final = 10.0  # seconds for one call
MAX_ANSWER: Final = 64 * 1024  # bytes


class Answer(NamedTuple):
    """An answer's status, and its JSON or None."""

    status: int
    body: object


class VaultApi:
    """Calls of one server; an asynchronous context manager that holds a connection, entered for each load."""

    def __init__(
        self, origin: Origin, namespace: str | None, ca_file: Path | None, *, limit: float = VAULT_TIMEOUT
    ) -> None:
        self._origin = origin
        self._ca_file = ca_file
        self._limit = limit
        # X-Vault-Request tells Vault Agent that no other site's page made this request.
        self._headers = {"X-Vault-Request": "true"} | ({"X-Vault-Namespace": namespace} if namespace else {})
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        tls = await asyncio.to_thread(self._tls_context) if self._origin.tls else None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
            max_headers=MAX_FIELDS,
            timeout=aiohttp.ClientTimeout(total=self._limit),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self, method: str, path: str, *, token: Secret | None = None, body: dict[str, str] | None = None
    ) -> Answer:
        """Make a call; `path` is what follows /v1/.

        Raises:
            CredentialSourceError: there is no answer.
        """
        if self._session is None:
            message = "Vault's API is used before it is entered"
            raise RuntimeError(message)
        headers = {} if token is None else {"X-Vault-Token": token.reveal()}
        try:
            async with self._session.request(
                method, f"{self._origin}/v1/{path}", headers=headers, json=body, allow_redirects=False
            ) as answer:
                if is_too_large(answer.raw_headers):
                    self._refuse_size("the answer's head")
                return Answer(answer.status, await self._json(answer.content))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = self._reason(error)
        # aiohttp's own errors may quote what was sent or received, so they end here.
        message = f"Vault {self._origin}: {reason}"
        raise CredentialSourceError(message)

    async def _json(self, stream: aiohttp.StreamReader) -> object:
        text = bytearray()
        async for chunk in stream.iter_chunked(16 * 1024):
            text += chunk
            if len(text) > MAX_ANSWER:
                self._refuse_size("the answer")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None

    def _refuse_size(self, what: str) -> NoReturn:
        message = f"Vault {self._origin}: {what} is larger than 64 KiB"
        raise CredentialSourceError(message)

    def _reason(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return f"no answer within {self._limit:g} s"
            case aiohttp.ClientSSLError() | ssl.SSLError():
                return "no trusted TLS connection: check the certificate and LOCALPAYMENT_VAULT_CA_FILE"
            case aiohttp.ClientConnectorError():
                return "it cannot be reached: check LOCALPAYMENT_VAULT_ADDR and the network"
            case ValueError() if not isinstance(error, aiohttp.ClientError):
                return "the token cannot stand in a header field: check it for line breaks"
            case _:
                return "the connection was lost, or the answer is not valid HTTP"

    def _tls_context(self) -> ssl.SSLContext:
        """Return a context that verifies certificate and name.

        Not ssl.create_default_context, which writes session keys to the file that SSLKEYLOGFILE names.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._ca_file is None:
            context.load_default_certs()
            return context
        try:
            context.load_verify_locations(cafile=self._ca_file)
        except OSError as error:
            fix = f"check LOCALPAYMENT_VAULT_CA_FILE{landlock.hint(error)}"
            message = f"{self._ca_file}: no readable PEM file of CA certificates; {fix}"
            raise CredentialSourceError(message) from None
        return context
