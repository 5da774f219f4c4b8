"""Pinned requirements: exact, hashed, in agreement with each other and with pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
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


def _asked_by(package: str) -> list[Requirement]:
    """Return what an installed package always asks for."""
    try:
        requirements = [Requirement(text) for text in metadata.requires(package) or ()]
    except metadata.PackageNotFoundError:
        return []  # it is for other extras, or for another interpreter
    return [one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]


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


def test_every_extra_that_one_package_asks_of_another_is_pinned_with_it() -> None:
    """With a bare pin, pip takes the extra's package for another one without a pin, once there is a newer version."""
    pinned = pins("dev.txt")
    asked = [
        (package, one)
        for package in pinned
        for one in _asked_by(package)
        if one.extras and canonicalize_name(one.name) in pinned
    ]
    assert asked, "pytest-cov asks for coverage[toml]"
    assert not [
        f"{package} asks for {one}"
        for package, one in asked
        if not any(one.extras <= pin.extras for pin in pinned[canonicalize_name(one.name)])
    ]


@pytest.mark.parametrize("name", FILES)
def test_every_file_agrees_with_the_largest(name: str) -> None:
    everything = pins("dev.txt")
    versions = {package: {str(pin.specifier) for pin in found} for package, found in pins(name).items()}
    assert versions == {package: {str(pin.specifier) for pin in everything[package]} for package in versions}


def test_every_extra_of_the_product_has_its_file() -> None:
    assert sorted(PINNED) == FILES
