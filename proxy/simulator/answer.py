"""Makes answers in the body shapes of Localpayment.

Different operations use different ones of its five documented error shapes on purpose: a client must read them all.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# RFC 9110 section 11.6.1; the realm is Simple JWT's default.
CHALLENGE = ("WWW-Authenticate", 'Bearer realm="api"')


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer but for its Date."""

    status: int
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class RefusalError(Exception):
    """An operation's refusal; carries the answer that tells it."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def said(content: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """One line of JSON, spaced so that a terminal shows it readably."""
    return Answer(status, json.dumps(content, ensure_ascii=False).encode(), headers=headers)


def detailed(status: int, detail: str, **more: object) -> Answer:
    """Shape `{"detail"}`: the framework's own; every 401 carries the challenge."""
    return said({"detail": detail, **more}, status, (CHALLENGE,) if status == HTTPStatus.UNAUTHORIZED else ())


def rejected(code: int, detail: str, **more: object) -> RefusalError:
    """Shape `{"status", "errors"}`: a transaction refused for a business reason.

    HTTP 400 is this simulator's choice: Localpayment does not document the HTTP status of a duplicate or any other
    business rejection, so no client may rely on it; `status.code` inside the body is what is documented.
    """
    errors = [{"code": str(code), "detail": detail}]
    return RefusalError(said({**more, "status": _rejection(code, detail), "errors": errors}, 400))


def denied(code: int, detail: str) -> RefusalError:
    """Shape `{"status"}`: something that is no transaction cannot change to the state asked for."""
    return RefusalError(said({"status": _rejection(code, detail)}, 400))


def not_found(code: int, description: str) -> RefusalError:
    """Shape `{"code", "description"}`: the thing named in the path is not there."""
    return RefusalError(said({"code": str(code), "description": description}, 404))


def invalid(**problems: str) -> RefusalError:
    """Shape `{"errors"}`: parameters that cannot be used; 801 is the documented "Params error"."""
    errors = [{"code": "801", "field": name, "detail": text} for name, text in problems.items()]
    return RefusalError(said({"errors": errors}, 400))


def not_allowed(method: str, allowed: Iterable[str]) -> Answer:
    """The refusal of a method, with those that are allowed."""
    return said({"detail": f'Method "{method}" not allowed.'}, 405, (("Allow", ", ".join(allowed)),))


def page(status: int) -> Answer:
    """An HTML page, as a server answers that has no view or whose view crashed."""
    title = html.escape(HTTPStatus(status).phrase)
    text = f"<!doctype html>\n<html lang=en>\n<title>{title}</title>\n<h1>{title}</h1>\n</html>\n"
    return Answer(status, text.encode(), "text/html; charset=utf-8")


def _rejection(code: int, detail: str) -> dict[str, str]:
    return {"code": str(code), "description": "REJECTED", "detail": detail}
