"""The commands that give out what is installed beside the code: the pages of documentation, and the files of config/.

A wheel holds both below `proxy/shipped`; in a clone they lie where they are written. Nothing is ever written over.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import click

import proxy
from proxy.cli.exits import Exit, end, failed


@click.command(short_help="Print a page of the documentation, or where the pages are.")
@click.argument("page", required=False)
def docs(page: str | None) -> Exit:
    """Print a page of the documentation, such as `errors`; without PAGE list them.

    Messages name these pages as `docs/…`.
    """
    place = _place()
    pages = {path.relative_to(place).as_posix(): path for path in sorted((place / "docs").rglob("*.md"))}
    if page is None:
        click.echo("\n".join([f"In {place}:", *pages]))
        return Exit.FINE
    asked = page.removesuffix(".md").removeprefix("docs/")
    found = [name for name in pages if name in (f"docs/{asked}.md", f"docs/{asked}/README.md")]
    found = found or [name for name in pages if name.endswith(f"/{asked}.md")]
    if len(found) != 1:
        return failed(f"no page {page!r}: `localpayment-proxy docs` lists them all", Exit.USAGE)
    click.echo(pages[found[0]].read_text("utf-8"), nl=False)
    return Exit.FINE


@click.group(short_help="Example policy and settings, units, alerts, dashboards, recipes.")
def files() -> None:
    """Give out the files of config/: examples, units, alerts, dashboards, recipes."""


@files.command(name="list")
def list_() -> Exit:
    """List the files."""
    click.echo("\n".join(_names(_place())))
    return Exit.FINE


@files.command(short_help="Write the files into a folder.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def export(folder: Path) -> Exit:
    """Write the files into FOLDER; nothing if one of them is there already."""
    place = _place()
    names = _names(place)
    try:
        if there := next((name for name in names if (folder / name).exists() or (folder / name).is_symlink()), None):
            return failed(f"{there} is there already: name another folder, or move it away")
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / name, folder / name)
    except OSError as error:
        return failed(f"cannot write into {folder}: {error.strerror or error}")
    click.echo(f"{len(names)} files in {folder / 'config'}")
    return Exit.FINE


def _names(place: Path) -> list[str]:
    found = (path for path in (place / "config").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(path.relative_to(place).as_posix() for path in found)


def _place() -> Path:
    """Return the folder that holds docs/ and config/, or end the command."""
    package = Path(proxy.__file__).parent
    for place in (package / "shipped", package.parent):
        if (place / "docs" / "settings.md").is_file():
            return place
    return end("documentation and example files did not come with this installation: install the wheel")


COMMANDS: Final = (docs, files)
