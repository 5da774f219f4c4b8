"""docs/reference/dependencies.md gives the reason of every package that the product runs on."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGE = (ROOT / "docs" / "reference" / "dependencies.md").read_text("utf-8")
FOR_PEOPLE = {"dev", "docs", "test"}  # extras that are no part of the product


def named(texts: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in texts}


def entries(title: str) -> list[list[str]]:
    """What stands between the colons of a section's entries: names first, then a text."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [line.removeprefix("- ").split(": ") for line in section.splitlines() if line.startswith("- `")]


def first(entry: list[str]) -> str:
    return canonicalize_name(entry[0].strip("`"))


def test_every_package_that_was_chosen_has_its_reason() -> None:
    chosen = entries("Chosen")
    assert {first(entry) for entry in chosen} == named(PROJECT["dependencies"])
    assert all(len(entry) == 2 and all(entry) for entry in chosen)


def test_every_extra_of_the_product_has_its_reason() -> None:
    extras = PROJECT["optional-dependencies"].items()
    found = {(extra, name) for extra, texts in extras if extra not in FOR_PEOPLE for name in named(texts)}
    told = {(entry[0].strip("`"), canonicalize_name(entry[1].strip("`"))) for entry in entries("With an extra")}
    assert told == found


def test_every_other_package_is_named_with_who_brings_it() -> None:
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "run.txt").read_text(), re.MULTILINE)
    brought = {first(entry): entry[1] for entry in entries("Brought along")}
    assert brought.keys() == {canonicalize_name(name) for name in pinned} - named(PROJECT["dependencies"])
    for name, bringers in brought.items():
        for bringer in re.findall(r"`([\w-]+)`", bringers):
            assert name in named(requires(bringer) or []), f"{bringer} does not ask for {name}"
