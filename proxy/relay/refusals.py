"""Tells a token that Localpayment refuses from a path that answers 401 although the token is good. Pure.

It must never take a token for good because of a call that had begun before the token was refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from proxy.relay.operations import OTHER

if TYPE_CHECKING:
    from proxy.relay.operations import Match

    Path = str | bytes  # an operation of the catalogue, or the path of what is not in it

MOST: Final = 64  # paths that are remembered; as many at once only answer 401 while the token is refused


@dataclass(frozen=True, slots=True)
class Doubt:
    """A path has answered 401 or 403, and has not succeeded since.

    Attributes:
        generation: of the token that it refused last.
        since: when it first refused that one.
        own: whether a token that it had refused worked elsewhere afterwards, so that the answer is the path's own.
    """

    generation: int
    since: float
    own: bool = False


class Refusals:
    """What paths have refused lately.

    Attributes:
        doubts: empty as long as all is well, so that a call that succeeds need not be told.
    """

    def __init__(self) -> None:
        self.doubts: dict[Path, Doubt] = {}

    def is_own(self, path: Path) -> bool:
        """Whether a refusal of this path says nothing about the token."""
        doubt = self.doubts.get(path)
        return doubt is not None and doubt.own

    def refused(self, path: Path, generation: int, now: float) -> None:
        """Note that a path refused the token of `generation`."""
        doubt = self.doubts.get(path)
        if doubt is None or doubt.generation < generation:
            self.doubts.pop(path, None)
            self.doubts[path] = Doubt(generation, now)
            if len(self.doubts) > MOST:
                del self.doubts[next(iter(self.doubts))]

    def accepted(self, path: Path, generation: int, began: float) -> bool:
        """Note that a call that began then succeeded with the token of `generation`.

        Returns:
            Whether that shows that a refusal of this token was not the token's fault, or is over.
        """
        shown = False
        doubt = self.doubts.get(path)
        if doubt is not None and began >= doubt.since:
            shown = doubt.generation == generation
            del self.doubts[path]
        for other, held in list(self.doubts.items()):
            if held.own:
                continue
            if held.generation < generation:
                del self.doubts[other]
            elif held.generation == generation and began >= held.since and other != path:
                self.doubts[other] = replace(held, own=True)
                shown = True
        return shown


def path_of(match: Match | None, target: bytes) -> Path:
    """Return what refusals of a call are remembered by: its operation, or its path when the catalogue has none."""
    if match is None or match.operation is OTHER:
        return target.partition(b"?")[0]
    return match.operation.name
