"""Keeps what can be made again in a dictionary that is bounded in size."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


def keep(kept: dict[Key, Made], key: Key, made: Made, *, most: int) -> Made:
    """Remember what was made for a key, and return it; when there are `most` already, all are forgotten first."""
    if len(kept) >= most:
        kept.clear()
    kept[key] = made
    return made
