"""Token calls and how a server must answer them: one table, for Simple JWT itself and for what claims to be like it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from tests.support.simplejwt.peer import STOCK, PeerOptions
from tests.support.simplejwt.wire import BALANCE, LOGIN, REFRESH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from proxy.secret import Secret
    from tests.support.simplejwt.wire import Answer, Wire

PAIR = frozenset({"access", "refresh"})
NEW_ACCESS = frozenset({"access"})
DETAIL = frozenset({"detail"})
CODED = frozenset({"detail", "code"})
WITH_MESSAGES = frozenset({"detail", "code", "messages"})
NOT_VALID = "token_not_valid"
NO_CREDENTIALS = "Authentication credentials were not provided."
NO_USER = "No active account found with the given credentials"
NOT_FOR_ACCESS = "Given token not valid for any token type"
JSON: Mapping[str, str] = {"Content-Type": "application/json"}


class Held(Enum):
    """What only a running server can fill in."""

    USERNAME = auto()
    PASSWORD = auto()
    PADDED_PASSWORD = auto()
    ACCESS = auto()
    REFRESH = auto()


class TokenServer(Protocol):
    """What a case needs of a server; `Peer` is one."""

    @property
    def username(self) -> Secret: ...
    @property
    def password(self) -> Secret: ...
    @property
    def wire(self) -> Wire: ...
    async def put_clock(self, offset: float) -> None: ...
    async def deactivate_user(self) -> None: ...
    async def delete_user(self) -> None: ...
    async def change_password(self) -> None: ...
    async def blacklist_outstanding(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `content` is JSON with `Held` where a secret belongs, or the very bytes."""

    method: str
    target: str
    content: dict[str, object] | bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    bearer: Held | None = None
    scheme: str = "Bearer"

    async def send(self, wire: Wire, held: Mapping[Held, Secret]) -> Answer:
        __tracebackhide__ = True  # a failure's report prints arguments
        headers = {**(JSON if isinstance(self.content, dict) else {}), **self.headers}
        if self.bearer is not None:
            headers["Authorization"] = f"{self.scheme} {held[self.bearer].reveal()}"
        if isinstance(self.content, bytes):
            return await wire.send(self.method, self.target, headers=headers, body=self.content)
        filled = {name: held[it].reveal() if isinstance(it, Held) else it for name, it in self.content.items()}
        return await wire.send(self.method, self.target, headers=headers, body=json.dumps(filled).encode())


async def nothing(_server: TokenServer, _refresh: Secret) -> None:
    """Nothing happens between the login and the request."""


@dataclass(frozen=True, slots=True)
class TokenCase:
    """A login, something that happens, a request, its answer.

    Attributes:
        name: the case in words.
        request: what is sent.
        status: of the answer.
        keys: of the answer's JSON object; None when it is not JSON.
        detail: its `detail`, where that is part of what clients have seen.
        code: its `code`.
        headers: what the answer carries besides the challenge, which every 401 and nothing else has.
        options: the server's.
        before: what happens between the login and the request; it is given the refresh token.
    """

    name: str
    request: Request
    status: int
    keys: frozenset[str] | None
    detail: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    options: PeerOptions = STOCK
    before: Callable[[TokenServer, Secret], Awaitable[object]] = nothing


async def _deactivated(server: TokenServer, _refresh: Secret) -> None:
    await server.deactivate_user()


async def _deleted(server: TokenServer, _refresh: Secret) -> None:
    await server.delete_user()


async def _password_changed(server: TokenServer, _refresh: Secret) -> None:
    await server.change_password()


async def _blacklisted(server: TokenServer, _refresh: Secret) -> None:
    await server.blacklist_outstanding()


async def _refreshed_once(server: TokenServer, refresh: Secret) -> None:
    assert (await server.wire.refresh(refresh)).status == 200


async def _access_expired(server: TokenServer, _refresh: Secret) -> None:
    await server.put_clock(STOCK.access_lifetime)


async def _refresh_expired(server: TokenServer, _refresh: Secret) -> None:
    await server.put_clock(STOCK.refresh_lifetime)


ROTATE = PeerOptions(rotate=True)
BLACKLIST = PeerOptions(rotate=True, blacklist=True)
REVOKE = PeerOptions(check_revoke=True)
HTML: Mapping[str, str] = {"Accept": "text/html"}
HTML_ANSWER: Mapping[str, str] = {"Content-Type": "text/html; charset=utf-8"}
NO_JSON: Mapping[str, str] = {"Accept": "application/xml"}
log_in = Request("POST", LOGIN, {"username": Held.USERNAME, "password": Held.PASSWORD})
wrong_password = Request("POST", LOGIN, {"username": Held.USERNAME, "password": "wrong"})
unknown_user = Request("POST", LOGIN, {"username": "nobody", "password": Held.PASSWORD})
padded_log_in = Request("POST", LOGIN, {"username": Held.USERNAME, "password": Held.PADDED_PASSWORD})
html_log_in = Request("POST", LOGIN, {"username": Held.USERNAME, "password": Held.PASSWORD}, HTML)
xml_log_in = Request("POST", LOGIN, {"username": Held.USERNAME, "password": Held.PASSWORD}, NO_JSON)
refresh = Request("POST", REFRESH, {"refresh": Held.REFRESH})
call = Request("GET", BALANCE, bearer=Held.ACCESS)
lower_case_call = Request("GET", BALANCE, bearer=Held.ACCESS, scheme="bearer")
basic_call = Request("GET", BALANCE, headers={"Authorization": "Basic YTpi"})
three_words_call = Request("GET", BALANCE, headers={"Authorization": "Bearer one two"})
garbage_call = Request("GET", BALANCE, headers={"Authorization": "Bearer garbage"})
text_log_in = Request("POST", LOGIN, b"a=b", {"Content-Type": "text/plain"})

CASES = (
    TokenCase("a login", log_in, 200, PAIR),
    TokenCase("a login with outer white space", padded_log_in, 200, PAIR),
    TokenCase("a wrong password", wrong_password, 401, DETAIL, NO_USER),
    TokenCase("an unknown user", unknown_user, 401, DETAIL, NO_USER),
    TokenCase("an inactive user's login", log_in, 401, DETAIL, NO_USER, before=_deactivated),
    TokenCase("a deleted user's login", log_in, 401, DETAIL, NO_USER, before=_deleted),
    TokenCase("the old password", log_in, 401, DETAIL, NO_USER, before=_password_changed),
    TokenCase("a login without a password", Request("POST", LOGIN, {"username": "a"}), 400, frozenset({"password"})),
    TokenCase("an empty object", Request("POST", REFRESH, {}), 400, frozenset({"refresh"})),
    TokenCase("an empty body", Request("POST", REFRESH), 400, frozenset({"refresh"})),
    TokenCase("a blank refresh token", Request("POST", REFRESH, {"refresh": " "}), 400, frozenset({"refresh"})),
    TokenCase("malformed JSON", Request("POST", LOGIN, b"{", JSON), 400, DETAIL),
    TokenCase("a list", Request("POST", LOGIN, b"[]", JSON), 400, frozenset({"non_field_errors"})),
    TokenCase("another content type", text_log_in, 415, DETAIL),
    TokenCase("a GET", Request("GET", LOGIN), 405, DETAIL, headers={"Allow": "POST, OPTIONS"}),
    TokenCase("a DELETE", Request("DELETE", REFRESH), 405, DETAIL, headers={"Allow": "POST, OPTIONS"}),
    TokenCase("no slash", Request("POST", LOGIN[:-1], {}), 301, None, headers={"Location": LOGIN}),
    TokenCase("no slash on refresh", Request("POST", REFRESH[:-1], {}), 301, None, headers={"Location": REFRESH}),
    TokenCase("a login that accepts HTML", html_log_in, 200, None, headers=HTML_ANSWER),
    TokenCase("a login that accepts no JSON", xml_log_in, 406, DETAIL),
    TokenCase("a refresh", refresh, 200, NEW_ACCESS),
    TokenCase("a second refresh", refresh, 200, NEW_ACCESS, before=_refreshed_once),
    TokenCase("garbage", Request("POST", REFRESH, {"refresh": "x"}), 401, CODED, "Token is invalid", NOT_VALID),
    TokenCase("an access token", Request("POST", REFRESH, {"refresh": Held.ACCESS}), 401, CODED, "Token has wrong type",
              NOT_VALID),
    TokenCase("an expired one", refresh, 401, CODED, "Token is expired", NOT_VALID, before=_refresh_expired),
    TokenCase("a blacklisted one", refresh, 401, CODED, "Token is blacklisted", NOT_VALID, before=_blacklisted),
    TokenCase("an inactive user's refresh", refresh, 401, DETAIL, "No active account found for the given token.",
              before=_deactivated),
    TokenCase("a deleted user's refresh", refresh, 500, None, before=_deleted),
    TokenCase("a rotating refresh", refresh, 200, PAIR, options=ROTATE),
    TokenCase("a rotated token", refresh, 200, PAIR, options=ROTATE, before=_refreshed_once),
    TokenCase("a rotated and blacklisted one", refresh, 401, CODED, "Token is blacklisted", NOT_VALID,
              options=BLACKLIST, before=_refreshed_once),
    TokenCase("a refresh after a password change", refresh, 200, NEW_ACCESS, options=REVOKE, before=_password_changed),
    TokenCase("a call", call, 200, frozenset()),
    TokenCase("a call after blacklisting", call, 200, frozenset(), before=_blacklisted),
    TokenCase("a call after a password change", call, 200, frozenset(), before=_password_changed),
    TokenCase("a revoked call", call, 401, CODED, "The user's password has been changed.", "password_changed",
              options=REVOKE, before=_password_changed),
    TokenCase("an inactive user's call", call, 401, CODED, "User is inactive", "user_inactive", before=_deactivated),
    TokenCase("a deleted user's call", call, 401, CODED, "User not found", "user_not_found", before=_deleted),
    TokenCase("an expired call", call, 401, WITH_MESSAGES, NOT_FOR_ACCESS, NOT_VALID, before=_access_expired),
    TokenCase("a refresh token on a call", Request("GET", BALANCE, bearer=Held.REFRESH), 401, WITH_MESSAGES,
              NOT_FOR_ACCESS, NOT_VALID),
    TokenCase("a garbage call", garbage_call, 401, WITH_MESSAGES, NOT_FOR_ACCESS, NOT_VALID),
    TokenCase("a call without a token", Request("GET", BALANCE), 401, DETAIL, NO_CREDENTIALS),
    TokenCase("a lower-case scheme", lower_case_call, 401, DETAIL, NO_CREDENTIALS),
    TokenCase("a Basic call", basic_call, 401, DETAIL, NO_CREDENTIALS),
    TokenCase("a call of three words", three_words_call, 401, CODED,
              "Authorization header must contain two space-delimited values", "bad_authorization_header"),
)  # fmt: skip
