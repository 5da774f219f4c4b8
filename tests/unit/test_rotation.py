"""Where what replaces a file will stand is told by the links on the way to it, and is never a folder of others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.process.replaced_files import made_anew_in, replaced_in


def test_a_file_without_links_is_replaced_in_its_folder() -> None:
    assert replaced_in(Path("/srv/app/file")) == {Path("/srv/app")}


def test_the_folder_of_each_link_is_named_and_where_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "data/1").mkdir(parents=True)
    (tmp_path / "app").mkdir()
    (tmp_path / "app/current").symlink_to(tmp_path / "data/1")
    (tmp_path / "app/link").symlink_to("../app/current/file")
    assert replaced_in(tmp_path / "app/current/file") == {tmp_path / "app", tmp_path / "data/1"}
    assert replaced_in(tmp_path / "app/link") == {tmp_path / "app", tmp_path / "data/1"}
    assert made_anew_in(tmp_path / "app/current/file") == {tmp_path / "data"}


def test_a_link_that_leads_to_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert tmp_path in replaced_in(tmp_path / "loop/file")


def test_a_relative_path_is_one_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert replaced_in(Path("secrets/file")) == {tmp_path / "secrets"}


@pytest.mark.parametrize(
    ("path", "folders"),
    [
        ("/secrets/file", set()),
        ("/run/secrets/file", set()),
        ("/run/app/secrets/file", set()),
        ("/mnt/disk/secrets/file", set()),
        ("/opt/secrets/file", set()),
        ("/var/lib/secrets/file", set()),
        ("/var/lib/app/secrets/file", {Path("/var/lib/app")}),
        ("/srv/app/secrets/file", {Path("/srv/app")}),
    ],
)
def test_the_folder_above_is_named_only_where_it_is_one_application_s(path: str, folders: set[Path]) -> None:
    assert made_anew_in(Path(path)) == folders


def test_a_mount_is_not_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda place: place == Path("/srv/app/secrets"))
    assert made_anew_in(Path("/srv/app/secrets/file")) == set()


def test_links_of_the_system_open_no_folder_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.process.replaced_files._OF_ALL", frozenset((tmp_path,)))
    (tmp_path / "run/secrets").mkdir(parents=True)
    (tmp_path / "var").symlink_to("run")
    assert replaced_in(tmp_path / "var/secrets/file") == {tmp_path / "run/secrets"}


def test_neither_the_root_nor_devices_nor_descriptors_are_named() -> None:
    assert replaced_in(Path("/file")) == made_anew_in(Path("/file")) == set()
    found = replaced_in(Path("/dev/stdout")) | made_anew_in(Path("/dev/stdout"))
    assert not [place for place in found if place == Path("/dev") or place.is_relative_to("/proc")]
