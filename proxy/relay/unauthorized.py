"""Does this 401 come from Localpayment's authentication layer, before anything was executed?

It must never take a 401 of a business view for one: only the former proves that the call was not processed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.upstream.answer import Answer

# Simple JWT 5.5.1, authentication.py and exceptions.py: the codes of refused access tokens.
_CODES: Final = frozenset(("token_not_valid", "user_inactive", "user_not_found", "password_changed"))
_LOOK_AT: Final = 16 * 1024  # bytes; Simple JWT's answers have a few hundred


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a 401 says.

    Attributes:
        proven: whether the authentication layer said it.
        code: Simple JWT's code, or None.
        pieces: what was read of the body, which the caller must still get.
    """

    proven: bool
    code: str | None
    pieces: list[bytes]


async def read_refusal(answer: Answer) -> Refusal:
    """Read the beginning of a 401's body.

    Raises:
        UpstreamFault: the body was cut.
    """
    pieces: list[bytes] = []
    size = 0
    while size <= _LOOK_AT and (piece := await answer.read()):
        pieces.append(piece)
        size += len(piece)
    code = _code(b"".join(pieces)) if size <= _LOOK_AT else None
    return Refusal(code is not None or _challenges_bearer(answer), code, pieces)


def _challenges_bearer(answer: Answer) -> bool:
    """Whether it carries the challenge of RFC 6750 section 3, as every 401 of Simple JWT does."""
    return any(name.lower() == b"www-authenticate" and value[:6].lower() == b"bearer" for name, value in answer.headers)


def _code(body: bytes) -> str | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    code = parsed.get("code") if isinstance(parsed, dict) else None
    return code if isinstance(code, str) and code in _CODES else None
