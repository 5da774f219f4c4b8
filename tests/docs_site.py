"""Lays the pages of the docs site out for Zensical: `python -m tests.docs_site FOLDER`, as `make docs` does.

The site mirrors the repository, so that a link that works in one works in the other. A folder that is linked and has no
page of its own gets one that lists its files. Nothing is changed where it lies.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[1]
INDEX: Final = "README.md"
FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")

Nav: TypeAlias = "list[str | dict[str, str | Nav]]"


def lay_out(folder: Path, root: Path = ROOT) -> None:
    """Write configuration and pages into a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    todo = [*root.glob("*.md"), *root.glob("docs/**/*.md")]
    placed: set[Path] = set()
    while todo:
        path = todo.pop()
        if path not in placed:
            placed.add(path)
            todo += _place(path, root, pages)
    told, _, nav = (root / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")
    spelt = yaml.safe_dump({"nav": _navigation(nav, root)}, sort_keys=False, allow_unicode=True)
    (folder / "mkdocs.yml").write_text(f"{told}\n{spelt}", "utf-8")


def unlisted(root: Path = ROOT) -> set[str]:
    """Return the pages of docs/ that the navigation leaves out."""
    nav = _navigation((root / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2], root)
    return {str(path.relative_to(root)) for path in root.glob("docs/**/*.md")} - set(_names(nav))


def _place(path: Path, root: Path, pages: Path) -> list[Path]:
    """Put a file, or a folder's page, into its place; return what it leads to."""
    place = pages / path.relative_to(root)
    place.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        return _place_folder(path, root, place)
    if path.suffix != ".md":
        shutil.copyfile(path, place)
        return []
    text, led_to = _linked(path, root)
    place.write_text(text, "utf-8")
    return led_to


def _place_folder(path: Path, root: Path, place: Path) -> list[Path]:
    if (path / INDEX).is_file():
        return [path / INDEX]
    place.mkdir(exist_ok=True)
    files = sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    lines = [f"- [{file.relative_to(path)}]({file.relative_to(path)})" for file in files]
    (place / INDEX).write_text("\n".join([f"# {path.relative_to(root)}", "", *lines, ""]), "utf-8")
    return files


def _linked(path: Path, root: Path) -> tuple[str, list[Path]]:
    """Return a page's text, in which a link to a folder leads to its page, and all that it links to."""
    led_to: list[Path] = []

    def leads(found: re.Match[str]) -> str:
        target = (path.parent / found[1]).resolve()
        if not target.is_relative_to(root) or not target.exists():
            return found[1]  # for Zensical to complain of
        led_to.append(target)
        return f"{found[1].rstrip('/')}/{INDEX}" if target.is_dir() else found[1]

    text = path.read_text("utf-8")
    parts = [LINK.sub(leads, part) for part in FENCED.split(text)]
    return "".join(part + fence for part, fence in zip(parts, [*FENCED.findall(text), ""], strict=True)), led_to


def _navigation(text: str, root: Path) -> Nav:
    nav: Nav = yaml.safe_load(text)
    return list(_spelt(nav, root, frozenset(_names(nav))))


def _spelt(nav: Nav, root: Path, named: frozenset[str]) -> Iterator[str | dict[str, str | Nav]]:
    """Put a folder's pages in the place of its name, but for those named elsewhere; leave out what is not there."""
    for entry in nav:
        if isinstance(entry, dict):
            for title, inner in entry.items():
                spelt = list(_spelt([inner] if isinstance(inner, str) else inner, root, named))
                yield {title: inner if spelt == [inner] and isinstance(inner, str) else spelt}
        elif entry.endswith("/*"):
            found = sorted((root / entry[:-2]).glob("*.md"), key=lambda page: (page.name != INDEX, page.name))
            yield from (name for page in found if (name := str(page.relative_to(root))) not in named)
        elif (root / entry).is_file():
            yield entry


def _names(nav: Nav) -> Iterator[str]:
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values():
                yield from [inner] if isinstance(inner, str) else _names(inner)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
