"""Tells whether a 401 comes from Localpayment's authentication layer, and whether it is the token's or the path's own.

That layer refuses a call before anything is executed.
It must never take the 401 of a business view for one: only the former proves that the call was not processed. What
the proof rests on, and what it cannot rule out, is in docs/explanation/outcomes.md. Nor may it take a token for good
because of a call that had begun before the token was refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from proxy.api.operations import OTHER
from proxy.http1.challenges import challenges_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from proxy.api.operations import Match
    from proxy.http1.challenges import Challenge

    Path = str | bytes  # an operation of the catalogue, or the path of what is not in it

# Simple JWT 5.5.1, authentication.py and exceptions.py: the codes of refused access tokens.
_CODES: Final = frozenset(("token_not_valid", "user_inactive", "user_not_found", "password_changed"))
_MEMBERS: Final = frozenset(("detail", "code", "messages"))  # all that exceptions.py ever puts into the body
_LOOK_AT: Final = 16 * 1024  # bytes; Simple JWT's answers have a few hundred
MOST: Final = 64  # paths that are remembered; the one longest known is forgotten for another
KEPT: Final = 900.0  # seconds; what a path answered longer ago says nothing of its next answer


class Answer(Protocol):
    """What is looked at of an answer; see proxy.upstream.answer."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]

    async def read(self) -> bytes:
        """Return the next piece of the body, b"" after the last."""
        ...


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


@dataclass(frozen=True, slots=True)
class Doubt:
    """A path has answered 401 or 403, and has not succeeded since.

    Attributes:
        generation: of the newest token that it refused before it was known for such answers.
        since: when it first refused that one.
        seen: when it last refused any.
        works: the newest token that succeeded elsewhere since; 0 for none.
    """

    generation: int
    since: float
    seen: float
    works: int = 0


class Refusals:
    """What paths have refused lately.

    Attributes:
        doubts: empty as long as all is well, so that a call that succeeds need not be told.
    """

    def __init__(self) -> None:
        self.doubts: dict[Path, Doubt] = {}

    def is_own(self, path: Path, generation: int, now: float) -> bool:
        """Whether the refusal of a token by this path says nothing about the token.

        So it is when the same token, or one that was to cure an earlier refusal, has succeeded elsewhere.
        """
        doubt = self.doubts.get(path)
        if doubt is None or not doubt.generation <= doubt.works <= generation:
            return False
        if now - doubt.seen >= KEPT:
            del self.doubts[path]
            return False
        self.doubts[path] = replace(doubt, seen=now)
        return True

    def refused(self, path: Path, generation: int, now: float) -> None:
        """Note that a path refused the token of `generation`."""
        doubt = self.doubts.get(path)
        if doubt is not None and generation <= doubt.generation:
            self.doubts[path] = replace(doubt, seen=now)
            return
        self.doubts.pop(path, None)
        self.doubts[path] = Doubt(generation, now, now)
        if len(self.doubts) > MOST:
            del self.doubts[next(iter(self.doubts))]

    def accepted(self, path: Path, generation: int, began: float) -> bool:
        """Note that a call that began then succeeded with the token of `generation`.

        Returns:
            Whether this very token had been refused before the call began.
        """
        news = {at: doubt for at, doubt in self.doubts.items() if doubt.since <= began}
        for at, doubt in news.items():
            if at == path:
                del self.doubts[at]
            elif generation >= doubt.generation:
                self.doubts[at] = replace(doubt, works=max(doubt.works, generation))
        return any(doubt.generation == generation for doubt in news.values())


def path_of(match: Match | None, target: bytes) -> Path:
    """Return what refusals of a call are remembered by: its operation, or its path when the catalogue has none."""
    if match is None or match.operation is OTHER:
        return target.partition(b"?")[0]
    return match.operation.name
