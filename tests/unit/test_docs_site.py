"""The docs site has every page, and a link leads in it where it leads in the repository."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.docs_site import ROOT, lay_out, unlisted

if TYPE_CHECKING:
    from pathlib import Path

NAV = "site_name: x\nnav:\n  - Start: README.md\n  - All: docs/*\n  - Later: THREATS.md\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "docs").mkdir(parents=True)
    (root / "config" / "made").mkdir(parents=True)
    (root / "mkdocs.yml").write_text(NAV)
    (root / "README.md").write_text(
        "[a](docs/a.md) [made](config/made) [gone](nowhere.md)\n```\n[kept](config/made)\n```\n"
    )
    (root / "docs" / "a.md").write_text("[up](../README.md#x) [file](../config/one.toml) [web](https://example.org)\n")
    (root / "config" / "made" / "two.yaml").write_text("two: 2\n")
    (root / "config" / "one.toml").write_text("one = 1\n")
    (root / "secret.txt").write_text("linked by nobody\n")
    return root


def test_every_page_of_docs_is_in_the_navigation() -> None:
    assert unlisted() == set(), "add it to nav in mkdocs.yml"


def test_pages_and_what_they_link_to_are_placed_as_they_lie(repository: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "site", repository)
    pages = tmp_path / "site" / "pages"
    placed = {str(path.relative_to(pages)) for path in pages.rglob("*") if path.is_file()}
    assert placed == {
        "README.md",
        "docs/a.md",
        "config/one.toml",
        "config/made/README.md",
        "config/made/two.yaml",
    }


def test_a_linked_folder_gets_a_page_that_lists_its_files(repository: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "site", repository)
    pages = tmp_path / "site" / "pages"
    start = (pages / "README.md").read_text()
    assert "[made](config/made/README.md)" in start
    assert "```\n[kept](config/made)\n```" in start, "examples stay as they are"
    assert "[gone](nowhere.md)" in start, "for the builder to complain of"
    assert "[two.yaml](two.yaml)" in (pages / "config/made/README.md").read_text()


def test_a_folder_in_the_navigation_stands_for_its_pages(repository: Path, tmp_path: Path) -> None:
    (repository / "docs" / "README.md").write_text("# All\n")
    lay_out(tmp_path / "site", repository)
    told = yaml.safe_load((tmp_path / "site" / "mkdocs.yml").read_text())
    assert told["nav"] == [{"Start": "README.md"}, {"All": ["docs/README.md", "docs/a.md"]}, {"Later": []}]
    assert told["site_name"] == "x"


def test_a_page_that_is_named_by_itself_is_not_repeated(repository: Path, tmp_path: Path) -> None:
    (repository / "docs" / "b.md").write_text("# B\n")
    (repository / "mkdocs.yml").write_text("site_name: x\nnav:\n  - B: docs/b.md\n  - Rest: docs/*\n")
    lay_out(tmp_path / "site", repository)
    told = yaml.safe_load((tmp_path / "site" / "mkdocs.yml").read_text())
    assert told["nav"] == [{"B": "docs/b.md"}, {"Rest": ["docs/a.md"]}]


def test_a_page_that_the_navigation_lacks_is_told(repository: Path) -> None:
    (repository / "docs" / "deep").mkdir()
    (repository / "docs" / "deep" / "b.md").write_text("# B\n")
    assert unlisted(repository) == {"docs/deep/b.md"}


def test_what_was_laid_out_before_is_gone(repository: Path, tmp_path: Path) -> None:
    lay_out(tmp_path / "site", repository)
    (repository / "docs" / "a.md").unlink()
    lay_out(tmp_path / "site", repository)
    assert not (tmp_path / "site" / "pages" / "docs" / "a.md").exists()


def test_the_navigation_names_what_is_there() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2])
    entries = [value for entry in nav for value in entry.values()]
    texts = [text for value in entries for text in ([value] if isinstance(value, str) else value)]
    missing = {text for text in texts if not (ROOT / text.removesuffix("/*")).exists()}
    assert missing <= {"THREAT_MODEL.md"}
