"""Does this 401 come from Localpayment's authentication layer, before anything was executed?

It must never take a 401 of a business view for one: only the former proves that the call was not processed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from proxy.upstream.answer import Answer

# Simple JWT 5.5.1, rest_framework_simplejwt/authentication.py and exceptions.py: the codes of refused access tokens.
_CODES: Final = frozenset(("token_not_valid", "user_inactive", "user_not_found", "password_changed"))
_LOOK_AT: Final = 16 * 1024  # bytes; Simple JWT's answers have a few hundred


def challenges_bearer(answer: Answer) -> bool:
    """Whether the answer carries the challenge of RFC 6750 section 3, as every 401 of Simple JWT does."""
    return any(name.lower() == b"www-authenticate" and value[:6].lower() == b"bearer" for name, value in answer.headers)


async def look_into(answer: Answer) -> tuple[bool, list[bytes]]:
    """Read the beginning of a 401's body for a code of Simple JWT's.

    Returns:
        Whether it has one, and the pieces that were read, which the caller must still get.

    Raises:
        UpstreamFault: the body was cut.
    """
    pieces: list[bytes] = []
    size = 0
    while size <= _LOOK_AT and (piece := await answer.read()):
        pieces.append(piece)
        size += len(piece)
    if size > _LOOK_AT:
        return False, pieces
    try:
        body = json.loads(b"".join(pieces))
    except (ValueError, RecursionError):
        return False, pieces
    return isinstance(body, dict) and body.get("code") in _CODES, pieces
