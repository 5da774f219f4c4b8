"""Speaks HTTP to a token server for the contract tests, and keeps what they may see of its answers.

Tokens are sealed as soon as they arrive: a failing assertion prints its operands, and none may show a token.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multidict import CIMultiDictProxy

LOGIN = "/api/token/"
REFRESH = "/api/token/refresh/"
BALANCE = "/api/accounts/032.840.00000001/balance"
CHALLENGE = 'Bearer realm="api"'
TIMEOUT = aiohttp.ClientTimeout(total=15)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        status: HTTP status.
        headers: all of them; none of these servers puts a token there.
        body: the parsed JSON with its tokens sealed, or None when it is not JSON.
        length: bytes of the body.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: Any
    length: int

    @property
    def media_type(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0]

    @property
    def challenge(self) -> str | None:
        return self.headers.get("WWW-Authenticate")

    @property
    def code(self) -> object:
        return self.body.get("code") if isinstance(self.body, dict) else None

    @property
    def date(self) -> float:
        """The server's clock, seconds since the epoch."""
        return parsedate_to_datetime(self.headers["Date"]).timestamp()

    def token(self, name: str) -> Secret:
        sealed = self.body[name]
        assert isinstance(sealed, Secret)
        return sealed


@dataclass(frozen=True, slots=True)
class Wire:
    """A token server's front door; redirects are not followed and targets go out as they are written."""

    url: str
    session: aiohttp.ClientSession

    async def send(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """Send one request.

        Raises:
            AssertionError: no answer came.
        """
        __tracebackhide__ = True  # a failure's report prints arguments, and these hold tokens
        url = URL(self.url + target, encoded=True)
        try:
            async with self.session.request(
                method, url, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            message = f"{method} {target} brought no answer: {type(error).__name__}"
            raise AssertionError(message) from None
        is_json = answer.content_type == "application/json"
        return Answer(answer.status, answer.headers, sealed(json.loads(text)) if is_json else None, len(text))

    async def post(self, target: str, content: Mapping[str, object]) -> Answer:
        __tracebackhide__ = True
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return await self.send("POST", target, headers=headers, body=json.dumps(content).encode())

    async def log_in(self, username: Secret, password: Secret) -> Answer:
        return await self.post(LOGIN, {"username": username.reveal(), "password": password.reveal()})

    async def refresh(self, token: Secret) -> Answer:
        return await self.post(REFRESH, {"refresh": token.reveal()})

    async def call(self, token: Secret, *, method: str = "GET", target: str = BALANCE, body: bytes = b"") -> Answer:
        """Call the API with a bearer token."""
        headers = {"Authorization": f"Bearer {token.reveal()}", "Content-Type": "application/json"}
        return await self.send(method, target, headers=headers, body=body)


def assert_dead(answer: Answer, code: str | None) -> None:
    assert (answer.status, answer.challenge, answer.code) == (401, CHALLENGE, code)


def sealed(body: Any) -> Any:
    """Hide what `access` and `refresh` hold."""
    if not isinstance(body, dict):
        return body
    return {
        key: Secret(value) if key in {"access", "refresh"} and isinstance(value, str) else value
        for key, value in body.items()
    }


def claims(token: Secret) -> dict[str, Any]:
    """Read a JWT's claims, `jti` excepted, without verifying anything."""
    part = token.reveal().split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    read.pop("jti", None)
    return read


def tampered(token: Secret) -> Secret:
    """The same claims under a signature that is not theirs."""
    head, body, signature = token.reveal().split(".")
    return Secret(".".join((head, body, signature[::-1])))
