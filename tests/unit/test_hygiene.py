"""What must never be committed is found, is not quoted, and fails the check."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.hygiene import MAX_LINES, findings, report, tracked

if TYPE_CHECKING:
    from pathlib import Path

HOST = "https://pypi" + ".org/simple"
FORBIDDEN_LINES = {
    "an index": f"--index-url {HOST}",
    "a folder of one machine": "open('/" + "work/main/x')",
    "a home folder": "see /" + "home/someone/notes",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a bare noqa": "x = 1  # " + "noqa",
    "a noqa without its reason": "x = 1  # " + "noqa: E501",
    "an ignore without its rule": "x = 1  # type" + ": ignore",
    "an ignore without its reason": "x = 1  # type" + ": ignore[assignment]",
}
HARMLESS_LINES = [
    "/var/run/secrets/password",
    "https://example.com/" + "work/items",
    "from proxy.errors import RelayError",
    "x = 1  # noqa: S105 - the grant's name",
    "x = 1  # noqa: S105, S106 - invented credentials",
    "x = 1  # type: ignore[assignment]  # filled by exec",
]


@pytest.mark.parametrize("line", FORBIDDEN_LINES.values(), ids=FORBIDDEN_LINES)
def test_a_line_that_must_never_be_committed_is_found_but_not_quoted(line: str) -> None:
    (finding,) = findings("docs/x.md", f"first\n{line}\n")
    assert finding.fatal
    assert str(finding).startswith("docs/x.md:2: ")
    assert line not in str(finding)


@pytest.mark.parametrize("line", HARMLESS_LINES)
def test_what_only_looks_alike_is_left_alone(line: str) -> None:
    assert not list(findings("docs/x.md", line))


def test_a_long_module_is_a_question_and_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    files = [("proxy/long.py", "x = 1\n" * (MAX_LINES + 1)), ("proxy/short.py", "x = 1\n" * MAX_LINES)]
    assert report(files) == 0
    assert "proxy/long.py:251: a question" in capsys.readouterr().out


def test_a_forbidden_line_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert report([("a.txt", HOST), ("b.txt", "fine")]) == 1
    assert "a.txt:1: a package registry's host" in capsys.readouterr().out


def test_only_tracked_text_is_read(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)  # noqa: S607 - from PATH
    for name, content in {"a.txt": b"text", "b.bin": b"\xff\xfe", "gone.txt": b"x", "loose.txt": b"x"}.items():
        (tmp_path / name).write_bytes(content)
    subprocess.run(["git", "add", "a.txt", "b.bin", "gone.txt"], cwd=tmp_path, check=True)  # noqa: S607 - from PATH
    (tmp_path / "gone.txt").unlink()
    assert list(tracked(tmp_path)) == [("a.txt", "text")]
