"""What is to be said of one setting?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        variable: its name in the environment; in lower case, its key in the TOML file.
        kind: what its value looks like, in words.
        default: what holds when it is not set, as it would be written; None when nothing does.
        meaning: what it decides.
        secret: whether its value is never shown.
        note: said of the default where none can be written, such as `required`.
    """

    variable: str
    kind: str
    default: str | None
    meaning: str
    secret: bool = False
    note: str = "not set"

    @property
    def key(self) -> str:
        """Its key in the TOML file."""
        return self.variable.lower()


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that are read together."""

    title: str
    settings: tuple[Setting, ...]
