"""The page on policies holds policies that work, and knows every name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from proxy.api.operations import OPERATIONS
from proxy.policy.file import parse_policy
from proxy.policy.grants import BY_DATE, KINDS, PRESETS
from proxy.policy.lint import lint
from proxy.policy.rules import Mode

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_there_are_three_worked_policies() -> None:
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("text", [*EXAMPLES, "".join(EXAMPLES)])
def test_a_worked_policy_can_be_used_and_is_not_odd(text: str) -> None:
    assert lint(parse_policy(text)) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_lists_a_kinds_operations_in_the_order_of_the_catalogue(kind: str) -> None:
    names = ", ".join(f"`{operation.name}`" for operation in OPERATIONS if operation.kind == kind)
    assert sorted(re.findall(rf"^\| `{kind}` \| (.*?) \|", PAGE, re.MULTILINE)[0].split(", ")) == sorted(
        names.split(", ")
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_the_table_says_which_operations_a_preset_has(preset: str) -> None:
    told: set[str] = set()
    for kind, names in KINDS.items():
        (cell,) = re.findall(rf"^\| `{kind}` \| .*? \| (.*?) \|$", PAGE, re.MULTILINE)
        for part in cell.split("; "):
            presets, _, operations = part.partition(": ")
            listed = set(re.findall("`(.*?)`", operations))
            if f"`{preset}`" in presets:
                told |= names - listed if operations.startswith("all") else listed
    assert told == PRESETS[preset]


@pytest.mark.parametrize("name", [*Mode, BY_DATE, "other", "anyone", "own_authorization", "key_sha256", "burst"])
def test_every_other_word_of_the_file_is_explained(name: str) -> None:
    assert re.search(rf"`[^`]*\b{re.escape(name)}\b[^`]*`", PAGE)
