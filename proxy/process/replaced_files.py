"""Names the folders that must stay readable so that a replaced file can be read again.

It must never name a folder that holds what belongs to others, such as / or /run, unless the file itself stands there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path("/")
# Folders of the root in which many things stand (Filesystem Hierarchy Standard 3.0); any other is one application's.
_OF_ALL: Final = frozenset(
    {*map(Path, ("/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/media", "/mnt", "/opt"))}
    | {*map(Path, ("/proc", "/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var"))}  # noqa: S108 - a place
)
# Those of them whose own folders belong to all as well, or to one user or service each.
_OF_MANY: Final = frozenset(map(Path, ("/home", "/media", "/mnt", "/run", "/usr", "/var")))
_MOST_LINKS: Final = 40  # as many as Linux follows (path_resolution(7))


def replaced_in(path: Path) -> set[Path]:
    """Return the folder of a file, and those of the links on the way to it: another link leads elsewhere below them."""
    return _allowable(set(_of_links(path)) - _OF_ALL | _own(path))


def made_anew_in(path: Path) -> set[Path]:
    """Return the folder above that of a file, which can be removed and made again; not for a mount, which cannot."""
    above = _allowable({folder.parent for folder in _own(path) if not os.path.ismount(folder)})
    return {folder for folder in above if folder.parent not in _OF_MANY | {_ROOT}}


def _own(path: Path) -> set[Path]:
    """Return the folder that holds the name of a file, and that which holds the file."""
    return {Path(os.path.realpath(path.parent)), Path(os.path.realpath(path)).parent}


def _allowable(folders: set[Path]) -> set[Path]:
    """Leave out the root, and where devices and descriptors stand, which are not replaced."""
    return {folder for folder in folders - {_ROOT, Path("/dev")} if not folder.is_relative_to("/proc")}


def _of_links(path: Path) -> Iterator[Path]:
    """Give the folder of each link that leads to a file, without links in its own name."""
    ahead, here, links = list(reversed(path.absolute().parts[1:])), _ROOT, 0
    while ahead:
        name = ahead.pop()
        target = None if name == ".." else _target(here / name)
        if target is not None and links < _MOST_LINKS:
            yield here
            links += 1
            here = _ROOT if target.is_absolute() else here
            ahead += [part for part in reversed(target.parts) if part != target.anchor]
        else:
            here = here.parent if name == ".." else here / name


def _target(path: Path) -> Path | None:
    """Return what a link says; None for what is no link, or is not there."""
    try:
        return path.readlink()
    except OSError:
        return None
