"""The page on policies holds policies that work, and knows every name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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
def test_every_kind_is_named(kind: str) -> None:
    assert f"`{kind}`" in PAGE.partition("A **kind**")[2].partition("a **preset**")[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_table_says_what_a_preset_allows(preset: str) -> None:
    (cell,) = re.findall(rf"^\| `{preset}` \| (.*?) \|$", PAGE, re.MULTILINE)
    allowed, _, but = cell.partition(" but ")
    told = {operation for name in re.findall("`(.*?)`", allowed) for operation in KINDS.get(name, {name})}
    assert told - set(re.findall("`(.*?)`", but)) == PRESETS[preset]


@pytest.mark.parametrize("name", [*Mode, BY_DATE, "other", "anyone", "own_authorization", "key_sha256", "burst"])
def test_every_other_word_of_the_file_is_explained(name: str) -> None:
    assert re.search(rf"`[^`]*\b{re.escape(name)}\b[^`]*`", PAGE)
