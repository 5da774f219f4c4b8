"""Credentials from settings and mounted files, and who else may read these."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest

from proxy.config import CredentialsFileSource, EnvironmentSource, FilesSource
from proxy.credentials import files
from proxy.credentials.model import Credentials
from proxy.credentials.sources import CredentialSourceError, open_source
from proxy.secret import Secret
from tests.support.mounts import kubernetes_mount

GIVEN = Credentials(Secret("name"), Secret("word"))


@pytest.fixture
def mounted(tmp_path: Path) -> FilesSource:
    for name, text in (("username", "name\n"), ("password", "word\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o640)
    return FilesSource(tmp_path / "username", tmp_path / "password")


async def test_settings_are_a_source_that_never_changes() -> None:
    source = open_source(EnvironmentSource(GIVEN.username, GIVEN.password))
    assert await source.load() == GIVEN
    assert (source.interval, source.confirm_after, source.describe(), source.warnings()) == (None, 0.0, "settings", ())


async def test_files_are_read_without_the_newline_at_their_end(mounted: FilesSource) -> None:
    source = open_source(mounted)
    assert await source.load() == GIVEN
    assert source.warnings() == ()
    assert source.interval == 5.0


async def test_one_of_the_two_may_come_from_settings(mounted: FilesSource) -> None:
    source = open_source(FilesSource(GIVEN.username, mounted.password))
    assert await source.load() == GIVEN
    assert source.describe() == f"username from settings, password from {mounted.password}"


async def test_a_file_that_is_gone_or_empty_is_an_error_that_names_it(mounted: FilesSource) -> None:
    source = open_source(mounted)
    assert isinstance(mounted.password, Path)
    mounted.password.write_text("")
    with pytest.raises(CredentialSourceError, match=f"{mounted.password}: the file is empty: write the secret"):
        await source.load()
    mounted.password.unlink()
    with pytest.raises(CredentialSourceError, match="there is no such file"):
        await source.load()


async def test_a_file_that_everybody_may_read_is_used_and_warned_of(mounted: FilesSource) -> None:
    source = open_source(mounted)
    assert isinstance(mounted.password, Path)
    mounted.password.chmod(0o644)
    assert await source.load() == GIVEN
    assert source.warnings() == (
        f"{mounted.password} may be read by every user of this machine: chmod o-rwx {mounted.password}",
    )
    mounted.password.chmod(0o600)
    await source.load()
    assert source.warnings() == ()


async def test_one_document_holds_both_and_is_warned_of_like_the_others(tmp_path: Path) -> None:
    path = tmp_path / "account.json"
    path.write_text('{"username": "name", "password": "word"}')
    path.chmod(0o604)
    source = open_source(CredentialsFileSource(path))
    assert await source.load() == GIVEN
    assert source.warnings() == (f"{path} may be read by every user of this machine: chmod o-rwx {path}",)
    assert source.describe() == f"file {path}"
    assert (source.interval, source.confirm_after) == (5.0, 1.0)
    path.write_text('username = "name"\npassword = canary')
    with pytest.raises(CredentialSourceError, match="is no TOML: write") as caught:
        await source.load()
    assert "canary" not in str(caught.value)
    path.unlink()
    with pytest.raises(CredentialSourceError, match=f"{path}: there is no such file"):
        await source.load()


async def test_a_kubernetes_mount_is_readable_by_all_and_no_finding(tmp_path: Path) -> None:
    source = open_source(kubernetes_mount(tmp_path, "2026_01", "name", "word"))
    assert (tmp_path / "password").stat().st_mode & 0o004
    assert await source.load() == GIVEN
    assert source.warnings() == ()


async def test_a_mount_of_docker_secrets_is_no_finding_either(
    mounted: FilesSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(mounted.username, Path)
    mounted.username.chmod(0o444)
    monkeypatch.setattr(files, "_CONTAINER_SECRETS", (tmp_path,))
    source = open_source(mounted)
    await source.load()
    assert source.warnings() == ()


async def test_a_mount_replaced_between_two_files_is_read_again(tmp_path: Path) -> None:
    """A new username never goes with the old password, whatever the moment of the swap."""
    config = kubernetes_mount(tmp_path, "1", "name-1", "word-1")
    source = open_source(config)
    over = threading.Event()

    def replace() -> None:
        for number in range(2, 200):
            kubernetes_mount(tmp_path, str(number), f"name-{number}", f"word-{number}")
        over.set()

    writer = threading.Thread(target=replace)
    writer.start()
    pairs = []
    while not over.is_set():
        with contextlib.suppress(CredentialSourceError):  # it changed too often to be read; that is an answer as well
            pairs.append(await source.load())
    await asyncio.to_thread(writer.join)
    assert pairs
    assert [pair.username.reveal()[5:] for pair in pairs] == [pair.password.reveal()[5:] for pair in pairs]
    assert await source.load() == Credentials(Secret("name-199"), Secret("word-199"))


async def test_files_that_never_stand_still_are_an_error() -> None:
    source = open_source(FilesSource(GIVEN.username, Path("/proc/sys/kernel/random/uuid")))  # another at each reading
    with pytest.raises(CredentialSourceError, match="changed while being read; replace the files at once"):
        await source.load()
