"""Tells whether a 401 comes from Localpayment's authentication layer, which refuses a call before anything is executed.

It must never take the 401 of a business view for one: only the former proves that the call was not processed. What
the proof rests on, and what it cannot rule out, is in docs/explanation/outcomes.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from proxy.http1.challenges import challenges_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from proxy.http1.challenges import Challenge
    from proxy.upstream.answer import Answer

# Simple JWT 5.5.1, authentication.py and exceptions.py: the codes of refused access tokens.
_CODES: Final = frozenset(("token_not_valid", "user_inactive", "user_not_found", "password_changed"))
_MEMBERS: Final = frozenset(("detail", "code", "messages"))  # all that exceptions.py ever puts into the body
_LOOK_AT: Final = 16 * 1024  # bytes; Simple JWT's answers have a few hundred


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a 401 or 403 says.

    Attributes:
        proven: whether the authentication layer said it, so that the call was not processed; never of a 403.
        of_token: whether it may be about the token: any 401 may, and a 403 with one of Simple JWT's codes.
        code: Simple JWT's, if the body is exactly what Simple JWT sends; else None.
        pieces: what was read of the body, which the caller must still get.
    """

    proven: bool
    of_token: bool
    code: str | None
    pieces: list[bytes]


async def read_refusal(answer: Answer, about: str | None = None) -> Refusal:
    """Read the beginning of the body of a 401 or 403.

    Args:
        answer: whose head has come.
        about: the merchant's id of what the call is about, or None; what names it has read the call.

    Raises:
        UpstreamFault: the body was cut.
    """
    pieces: list[bytes] = []
    size = 0
    while size <= _LOOK_AT and (piece := await answer.read()):
        pieces.append(piece)
        size += len(piece)
    body = _parsed(b"".join(pieces)) if size <= _LOOK_AT else None
    code = _code(body)
    if answer.status == HTTPStatus.FORBIDDEN:
        # Django REST framework answers 403 in place of 401 when its first authentication class has no challenge.
        return Refusal(proven=False, of_token=_names_a_code(body), code=code, pieces=pieces)
    proven = _proves(challenges_of(answer.headers), code) and not _quotes(body, about)
    return Refusal(proven=proven, of_token=True, code=code, pieces=pieces)


def _proves(challenges: list[Challenge] | None, code: str | None) -> bool:
    """Whether challenges and code are the authentication layer's; a malformed field, here None, proves nothing."""
    if challenges is None:
        return False
    bearer = [challenge for challenge in challenges if challenge.scheme == b"bearer"]
    return all(map(_asks_for_a_token, bearer)) and (bool(bearer) or code is not None)


def _asks_for_a_token(bearer: Challenge) -> bool:
    """Whether it is RFC 6750's (section 3): its other errors speak of a request or a scope that a token cannot mend."""
    return bearer.token68 is None and bearer.parameters.get(b"error", b"invalid_token") == b"invalid_token"


def _parsed(body: bytes) -> object:
    """Return the JSON, or None for what is none or can be read in two ways."""
    try:
        return json.loads(body, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError):
        return None


def _unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        message = "a member stands there twice"
        raise ValueError(message)
    return members


def _code(body: object) -> str | None:
    """Return Simple JWT's code when the body is what its exceptions make: `detail`, `code` and perhaps `messages`."""
    if not isinstance(body, dict) or not body.keys() <= _MEMBERS or not isinstance(body.get("detail"), str):
        return None
    messages = body.get("messages", [])
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return None
    code = body.get("code")
    return code if isinstance(code, str) and code in _CODES else None


def _names_a_code(body: object) -> bool:
    """Whether one of Simple JWT's codes stands anywhere in the body; enough for a newer token, and for no more."""
    return any(name == "code" and isinstance(value, str) and value in _CODES for name, value in _members(body))


def _quotes(body: object, about: str | None) -> bool:
    """Whether a value in the body is the id of what the call is about, which only a view that ran can know."""
    return about is not None and any(value == about for _, value in _members(body))


def _members(body: object) -> Iterator[tuple[str, object]]:
    """Give every member of every object, and every element of every list without a name, however deep."""
    waiting = [body]
    while waiting:
        match waiting.pop():
            case dict() as members:
                yield from members.items()
                waiting += members.values()
            case list() as elements:
                yield from (("", element) for element in elements)
                waiting += elements
            case _:
                pass
