from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
FILES = sorted(path.name for path in (ROOT / "requirements").glob("*.txt"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
RUN: list[str] = PROJECT["project"]["dependencies"]
BUILD: list[str] = PROJECT["dependency-groups"]["build"]
PINNED = {
    "run.txt": RUN,
    "sbom.txt": PROJECT["dependency-groups"]["sbom"],
    "build.txt": [*BUILD, *PROJECT["build-system"]["requires"]],
    "test.txt": [*RUN, *EXTRAS["test"]],
    "dev.txt": [*RUN, *BUILD, *(one for extra in EXTRAS.values() for one in extra)],
    **{f"{name}.txt": [*RUN, *extra] for name, extra in EXTRAS.items() if name not in ("test", "dev")},
}


def blocks(name: str) -> list[str]:
    """Return each requirement with its hashes as one text."""
    text = (ROOT / "requirements" / name).read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def pins(name: str) -> dict[str, set[Requirement]]:
    """Return what is pinned; one name may have several versions, each for its markers."""
    found: dict[str, set[Requirement]] = {}
    for block in blocks(name):
        requirement = Requirement(block.split("--hash")[0].strip())
        found.setdefault(canonicalize_name(requirement.name), set()).add(requirement)
    return found


@pytest.mark.parametrize(("name", "wanted"), PINNED.items(), ids=PINNED)
def test_each_dependency_of_the_project_is_pinned_to_a_version_that_it_allows(name: str, wanted: list[str]) -> None:
    pinned = pins(name)
    stale = [
        text
        for text in wanted
        if (one := Requirement(text)).name != PROJECT["project"]["name"]
        and not any(
            one.specifier.contains(next(iter(pin.specifier)).version)
            for pin in pinned.get(canonicalize_name(one.name), ())
        )
    ]
    assert not stale, f"run `make lock`: {name} does not fit pyproject.toml"


@pytest.mark.parametrize("name", FILES)
def test_every_pin_is_exact_and_hashed_and_nothing_names_an_index(name: str) -> None:
    for block in blocks(name):
        assert re.fullmatch(r"[\w.\[\],-]+==[^\s;]+( ; [^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*", block), block[:80]


@pytest.mark.parametrize("name", FILES)
def test_every_file_agrees_with_the_largest(name: str) -> None:
    everything = pins("dev.txt")
    versions = {package: {str(pin.specifier) for pin in found} for package, found in pins(name).items()}
    assert versions == {package: {str(pin.specifier) for pin in everything[package]} for package in versions}


def test_every_extra_of_the_product_has_its_file() -> None:
    assert sorted(PINNED) == FILES
