"""Answers the two token endpoints, and checks the bearer token of API calls.

Simple JWT's answers as observed: LOCALPAYMENT section 1. No answer and no exception repeats what was sent.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from proxy.secret import Secret
from proxy.simulator.answer import Answer, RefusalError, detailed, not_allowed, page, said
from proxy.simulator.call import parsed
from proxy.simulator.tokens import TokenError, User

if TYPE_CHECKING:
    from aiohttp import web

    from proxy.simulator.service import Service
    from proxy.simulator.tokens import Account, Issued

TOKEN_PATHS = {"/api/token/": "token", "/api/token/refresh/": "token_refresh"}
# Django sends a path without its trailing slash there, and drops the body by doing so.
SLASHLESS = {path.rstrip("/"): path for path in TOKEN_PATHS}
GRANTS = {"token": "password", "token_refresh": "refresh"}
FIELDS = {"token": ("username", "password"), "token_refresh": ("refresh",)}
# REST framework's order: the most precise of what is accepted wins; stock renderers write JSON and HTML.
RENDERED = (
    ("application/json", True),
    ("text/html", False),
    ("application/*", True),
    ("text/*", False),
    ("*/*", True),
)


def token_answer(service: Service, operation: str, request: web.Request, body: bytes) -> Answer:
    """Answer a call of a token endpoint."""
    as_json = _renders_json(request.headers.get("Accept", ""))
    if as_json is None:
        return detailed(406, "Could not satisfy the request Accept header.")
    if request.method == "OPTIONS":
        return said({"name": "Token", "parses": ["application/json"], "renders": ["application/json", "text/html"]})
    if request.method != "POST":
        return not_allowed(request.method, ("POST", "OPTIONS"))
    try:
        answer = _granted(service, operation, request.headers.get("Content-Type", ""), body)
    except RefusalError as refusal:
        answer = refusal.answer
    if as_json or answer.content_type != "application/json":
        return answer
    return Answer(answer.status, page(answer.status).body, "text/html; charset=utf-8", answer.headers)


def bearer_refusal(service: Service, authorization: str | None) -> Answer | None:
    """The 401 for an API call with this Authorization field; None if its token is alive."""
    parts = (authorization or "").split()
    if not parts or parts[0] != "Bearer":
        return detailed(401, "Authentication credentials were not provided.")
    if len(parts) != len(("Bearer", "token")):
        text = "Authorization header must contain two space-delimited values"
        return detailed(401, text, code="bad_authorization_header")
    try:
        issued = service.tokens.check(parts[1], "access", service.now())
    except TokenError as error:
        message = {"token_class": "AccessToken", "token_type": "access", "message": str(error)}
        text = "Given token not valid for any token type"
        return detailed(401, text, code="token_not_valid", messages=[message])
    return _user_refusal(service.account, issued)


def _user_refusal(account: Account, issued: Issued) -> Answer | None:
    if account.user is User.DELETED:
        return detailed(401, "User not found", code="user_not_found")
    if account.user is User.INACTIVE:
        return detailed(401, "User is inactive", code="user_inactive")
    if account.revoke_check and issued.password_generation != account.password_generation:
        return detailed(401, "The user's password has been changed.", code="password_changed")
    return None


def _renders_json(accept: str) -> bool | None:
    wanted = {part.split(";")[0].strip().lower() for part in accept.split(",")} - {""}
    if not wanted:
        return True
    return next((as_json for media_type, as_json in RENDERED if media_type in wanted), None)


def _granted(service: Service, operation: str, content_type: str, body: bytes) -> Answer:
    media_type = content_type.partition(";")[0].strip().lower()
    if body and media_type != "application/json":
        return detailed(415, f'Unsupported media type "{media_type}" in request.')
    given = parsed(body or b"{}")
    if not isinstance(given, dict):
        kind = type(given).__name__
        return said({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]}, 400)
    problems = {name: [problem] for name in FIELDS[operation] if (problem := _problem(given, name))}
    if problems:
        return said(problems, 400)
    # REST framework trims the white space around a text.
    texts = [str(given[name]).strip() for name in FIELDS[operation]]
    return _logged_in(service, *map(Secret, texts)) if operation == "token" else _refreshed(service, *texts)


def _problem(given: dict[str, object], name: str) -> str | None:
    value = given.get(name)
    if name not in given:
        return "This field is required."
    if value is None:
        return "This field may not be null."
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return "Not a valid string."
    return None if str(value).strip() else "This field may not be blank."


def _logged_in(service: Service, username: Secret, password: Secret) -> Answer:
    if not service.account.accepts(username, password):
        return detailed(401, "No active account found with the given credentials")
    return said(service.tokens.pair(service.now(), service.account.password_generation))


def _refreshed(service: Service, token: str) -> Answer:
    now = service.now()
    try:
        service.tokens.check(token, "refresh", now)
    except TokenError as error:
        return detailed(401, str(error), code="token_not_valid")
    if service.account.user is User.DELETED:
        # Simple JWT 5.5.1 looks the user up without a guard.
        return page(HTTPStatus.INTERNAL_SERVER_ERROR)
    if service.account.user is User.INACTIVE:
        return detailed(401, "No active account found for the given token.")
    return said(service.tokens.refreshed(token, now))
