"""What is right alone and wrong together is told, with the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.settings_problems import told

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def key(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text("k" * 32)
    return str(path)


def test_a_key_of_hashes_that_nobody_writes_is_refused(key: str) -> None:
    fix = "set that, to a path or to stdout, or remove this one"
    assert told(PROXY_AUDIT_KEY_FILE=key) == [
        f"PROXY_AUDIT_KEY_FILE={key}: has no effect without PROXY_AUDIT_LOG: {fix}"
    ]
    assert told(PROXY_AUDIT_KEY_FILE=key, PROXY_AUDIT_LOG="stdout") == []
    assert told(PROXY_AUDIT_LOG="stdout") == []


def test_a_stream_that_is_wrong_itself_is_told_once(key: str) -> None:
    (line,) = told(PROXY_AUDIT_KEY_FILE=key, PROXY_AUDIT_LOG="audit.jsonl")
    assert line.startswith("PROXY_AUDIT_LOG=")


def test_entries_that_are_removed_while_the_same_call_is_a_repeat_yet_are_refused() -> None:
    (line,) = told(PROXY_LEDGER_KEEP="12h")
    assert line.startswith("PROXY_LEDGER_KEEP=12h: is shorter than PROXY_DUPLICATE_WINDOW=24h, in which a repeat")
    assert told(PROXY_LEDGER_KEEP="12h", PROXY_DUPLICATE_WINDOW="12h") == []
