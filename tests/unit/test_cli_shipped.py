"""What `files export` writes, and where it refuses to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.cli.commands import exit_code

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_files_are_written_once_and_never_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["files", "export", str(tmp_path)]) == 0
    written = tmp_path / "config" / "policy.example.toml"
    written.write_text("mine")
    assert exit_code(["files", "export", str(tmp_path)]) == 1
    assert written.read_text() == "mine"
    assert "is there already: name another folder" in capsys.readouterr().err


def test_nothing_is_written_through_a_link_that_leads_nowhere_yet(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "policy.example.toml").symlink_to(elsewhere)
    assert exit_code(["files", "export", str(folder)]) == 1
    assert not elsewhere.exists()


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["files", "export", str(tmp_path / ("a" * 300))]) == 1
    assert "cannot write into" in capsys.readouterr().err
