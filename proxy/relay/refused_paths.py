"""Tells a token that Localpayment refuses from a path that answers 401 although the token is good. Pure.

It must never take a token for good because of a call that had begun before the token was refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from proxy.api.operations import OTHER

if TYPE_CHECKING:
    from proxy.api.operations import Match

    Path = str | bytes  # an operation of the catalogue, or the path of what is not in it

MOST: Final = 64  # paths that are remembered; the one longest known is forgotten for another
KEPT: Final = 900.0  # seconds; what a path answered longer ago says nothing of its next answer


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
