"""Reads the credentials from Vault or OpenBao: a secret of its KV engine, version 2.

A login's token is used again until two thirds of its life are over: a login each time would leave thousands behind.
A token goes to the configured server only: no redirect is followed, and the certificate is always verified.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never
from urllib.parse import quote

from proxy.config import VaultAppRole, VaultKubernetes, VaultSource, VaultToken
from proxy.config.files import UnusableContentError, pair_in, read_secret
from proxy.credentials.model import MANAGER_INTERVAL, Credentials, CredentialSourceError, Source
from proxy.secret import Secret
from proxy.upstream.connecting.tls import tls_context
from proxy.upstream.json_client import ContentError, ask, connection_to
from proxy.upstream.model import FaultKind, UpstreamFault
from proxy.upstream.request import header_lines

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from proxy.clock import Clock
    from proxy.upstream.pool import Pool

TIMEOUT: Final = 10.0  # seconds for one call
USED_LIFE: Final = 2 / 3  # of a token's life
LONGEST: Final = 10**9  # seconds that a token's life counts for at most: a number that any clock can add
ENDLESS: Final = 3600.0  # seconds that a token is used whose life has no end
_FAULTS: Final = {
    FaultKind.TLS: "no trusted TLS connection: check the certificate and LOCALPAYMENT_VAULT_CA_FILE",
    FaultKind.UNREACHABLE: "it cannot be reached: check LOCALPAYMENT_VAULT_ADDR and the network",
    FaultKind.DISCONNECTED: "the connection was lost",
}


class _Held(NamedTuple):
    token: Secret
    until: float


class Vault(Source):
    """One secret, and the login that it takes."""

    def __init__(
        self, config: VaultSource, clock: Clock, interval: float | None = None, *, limit: float = TIMEOUT
    ) -> None:
        self.interval = MANAGER_INTERVAL if interval is None else interval
        self._config = config
        self._clock = clock
        self._held: _Held | None = None
        self._limit = limit

    async def load(self) -> Credentials:
        """Log in if need be, and read the secret."""
        async with connection_to(self._config.origin, await self._tls(), self._clock.now) as pool:
            used_again = self._held is not None
            answer = await self._secret(pool)
            if answer[0] == 403 and used_again:  # noqa: PLR2004 - the token held may have been revoked
                self._held = None
                answer = await self._secret(pool)
        match answer:
            case (200, {"data": {"data": document}}):
                return self._credentials(document)
            case (status, _):
                raise self._refusal(status)

    def describe(self) -> str:
        """Name server and secret."""
        return f"Vault {self._config.origin}, secret {self._config.mount}/{self._config.path}"

    def _credentials(self, document: object) -> Credentials:
        try:
            return Credentials(*pair_in(document))
        except UnusableContentError as error:
            message = f"{self.describe()}: {error}"
            raise CredentialSourceError(message) from None

    async def _tls(self) -> ssl.SSLContext | None:
        if not self._config.origin.tls:
            return None
        try:
            return await asyncio.to_thread(tls_context, self._config.ca_file)
        except ValueError as error:
            message = f"LOCALPAYMENT_VAULT_CA_FILE: {error}"
            raise CredentialSourceError(message) from None

    async def _secret(self, pool: Pool) -> tuple[int, object]:
        path = quote(f"{self._config.mount}/data/{self._config.path}")
        return await self._call(pool, b"GET", path, {b"X-Vault-Token": await self._token(pool)})

    async def _call(
        self, pool: Pool, method: bytes, path: str, more: dict[bytes, Secret], body: object = None
    ) -> tuple[int, object]:
        """Make a call; return status and JSON, or None. `path` is what follows /v1/."""
        # X-Vault-Request tells Vault Agent that no other site's page made this request.
        fields = {b"X-Vault-Request": "true"} | {name: value.reveal() for name, value in more.items()}
        if self._config.namespace:
            fields[b"X-Vault-Namespace"] = self._config.namespace
        try:
            lines = header_lines((name, value.encode()) for name, value in fields.items())
            answer = await ask(pool, method, f"/v1/{path}", body, lines=lines, seconds=self._limit)
        except (UpstreamFault, TimeoutError, ContentError, ValueError) as error:
            message = f"Vault {self._config.origin}: {self._reason(error)}"
            raise CredentialSourceError(message) from None
        try:
            return answer.status, json.loads(answer.content)
        except (ValueError, RecursionError):
            return answer.status, None

    def _reason(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return f"no answer within {self._limit:g} s"
            case ContentError():
                return f"the answer {error}"
            case UpstreamFault(kind=kind):
                return _FAULTS.get(kind) or str(error)
            case _:
                return "the token cannot stand in a header field: check it for line breaks"

    async def _token(self, pool: Pool) -> Secret:
        match self._config.auth:
            case VaultToken(token=token):
                return await _value(token)
            case VaultAppRole(mount=mount, role_id=role_id, secret_id=secret_id):
                return await self._logged_in(pool, mount, {"role_id": role_id}, "secret_id", secret_id)
            case VaultKubernetes(mount=mount, role=role, jwt_file=jwt_file):
                return await self._logged_in(pool, mount, {"role": role}, "jwt", jwt_file)
            case never:
                assert_never(never)

    async def _logged_in(self, pool: Pool, mount: str, body: dict[str, str], key: str, proof: Secret | Path) -> Secret:
        """Return the token held, or that of a new login: POST auth/{mount}/login with a name and its proof."""
        now = self._clock.now()
        if self._held is not None and now < self._held.until:
            return self._held.token
        self._held = None
        body = {**body, key: (await _value(proof)).reveal()}
        match await self._call(pool, b"POST", quote(f"auth/{mount}/login"), {}, body):
            case (200, {"auth": {"client_token": str(token), "lease_duration": int(seconds)}}) if token:
                self._held = _Held(Secret(token), now + (min(seconds, LONGEST) * USED_LIFE or ENDLESS))
                return self._held.token
            case (400 | 401 | 403 | 404 as status, _):
                message = (
                    f"{self.describe()}: the login at auth/{mount} was refused (status {status}): check role, "
                    f"{key.replace('_', ' ')} and LOCALPAYMENT_VAULT_AUTH_MOUNT"
                )
                raise CredentialSourceError(message)
            case (status, _):
                raise self._refusal(status)

    def _refusal(self, status: int) -> CredentialSourceError:
        path = f"{self._config.mount}/data/{self._config.path}"
        match status:
            case 200:
                text = "the answer is not one of the KV engine, version 2: check LOCALPAYMENT_VAULT_MOUNT"
            case 403:
                text = f'permission denied: the token is valid no more, or its policy lacks "read" on {path}'
            case 404:
                text = f"there is no secret at {path}, or its latest version was deleted: write it, or check the path"
            case 429 | 472 | 473 | 503:
                text = f"it is sealed, overloaded or a standby (status {status}): the next look may succeed"
            case _ if 300 <= status < 400:  # noqa: PLR2004 - the class of redirects, RFC 9110 section 15.4
                text = "it redirects, which is not followed with a token: name the active server or its load balancer"
            case _:
                text = f"it answered with status {status}"
        return CredentialSourceError(f"{self.describe()}: {text}")


async def _value(place: Secret | Path) -> Secret:
    """Return the given secret, or read its file again, as it may have changed."""
    if isinstance(place, Secret):
        return place
    try:
        return (await asyncio.to_thread(read_secret, place)).text
    except UnusableContentError as error:
        message = f"{place}: {error}"
        raise CredentialSourceError(message) from None
