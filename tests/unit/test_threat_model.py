"""THREAT_MODEL.md names a defence and a test for every threat, and each test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
BOUNDARIES = {
    section.partition("\n")[0]: re.findall(r"^- \*\*(.)\*\* \*(.+?):\* (.+?)\. (`.+)$", section, re.MULTILINE)
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}
THREATS = {name: rows for name, rows in BOUNDARIES.items() if rows}
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
NAMED = sorted(set(PROOF.findall(PAGE)))


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_all_seven_boundaries_have_their_threats() -> None:
    assert len(THREATS) == 7
    assert {"What is not defended against", "When this must be revised"} <= BOUNDARIES.keys() - THREATS.keys()


@pytest.mark.parametrize("boundary", THREATS)
def test_every_kind_of_threat_was_thought_of(boundary: str) -> None:
    assert {row[0] for row in THREATS[boundary]} == set("STRIDE")


@pytest.mark.parametrize("boundary", THREATS)
def test_every_threat_has_a_defence_and_a_proof(boundary: str) -> None:
    section = PAGE.partition(f"## {boundary}\n")[2].partition("\n## ")[0]
    assert section.count("\n- ") == len(THREATS[boundary])
    for _, threat, defence, proof in THREATS[boundary]:
        assert threat, boundary
        assert defence, threat
        assert PROOF.findall(proof), threat
        assert not PROOF.sub("", proof).strip(", "), proof


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_what_it_names_is_there(path: str, name: str) -> None:
    fix = "is not there, though THREAT_MODEL.md names it: name the test that shows it now"
    assert (ROOT / path).is_file(), f"{path} {fix}"
    assert name in functions_of(path), f"{path}::{name} {fix}"
