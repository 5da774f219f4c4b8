"""Files that settings name are read whole, bounded, and without waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.config import files
from proxy.config.files import UnusableContentError, read_certificates, read_file, read_secret


def refusal(path: Path) -> str:
    with pytest.raises(UnusableContentError) as caught:
        read_secret(path)
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"word", "word"),
        (b"word\n", "word"),
        (b"word\r\n", "word"),
        (b"word\n\n", "word\n"),
        (b" two words \n", " two words "),
        ("wörd".encode(), "wörd"),
    ],
)
def test_one_newline_at_the_end_is_not_part_of_a_secret(tmp_path: Path, content: bytes, secret: str) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert read_secret(path).text.reveal() == secret


@pytest.mark.parametrize("content", [b"", b"\n", b" \t\r\n"])
def test_an_empty_file_is_no_secret(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert "write the secret into it" in refusal(tmp_path / "secret")


@pytest.mark.parametrize("content", [b"\xff\xfew\x00", "\ufeffword".encode(), b"w\xf6rd"])
def test_other_encodings_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    assert "write it as UTF-8" in refusal(tmp_path / "secret")


def test_a_missing_file_a_directory_and_a_pipe_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in refusal(tmp_path / "absent")
    assert "name a file in it" in refusal(tmp_path)
    assert "not a regular file" in refusal(tmp_path / "pipe")
    assert "the path is not valid" in refusal(Path("nul\0byte"))
    assert "File name too long" in refusal(tmp_path / ("a" * 300))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("word")
    (tmp_path / "secret").chmod(0)
    assert "read permission" in refusal(tmp_path / "secret")


def test_a_permission_error_says_what_to_grant() -> None:
    # Root, as who many tests run, may read every file.
    assert "read permission" in files.why_unreadable(PermissionError(13, "Permission denied"))


def test_a_large_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a" * (64 * 1024))
    assert len(read_file(tmp_path / "file").text.reveal()) == 64 * 1024
    (tmp_path / "file").write_bytes(b"a" * (64 * 1024 + 1))
    with pytest.raises(UnusableContentError, match="larger than 64 KiB"):
        read_file(tmp_path / "file")


def test_certificates_may_be_a_whole_bundle(tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    path.write_text("# a comment\n-----BEGIN CERTIFICATE-----\n" + "A" * 100_000)
    path.chmod(0o640)
    assert read_certificates(path).mode == 0o640
    path.write_text("no certificate")
    with pytest.raises(UnusableContentError, match="PEM file"):
        read_certificates(path)


def test_no_refusal_and_no_repr_shows_what_a_file_holds(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"canary\xff")
    assert "canary" not in refusal(path)
    path.write_text("canary")
    assert "canary" not in repr(read_secret(path))
