"""A volume of credentials, as the kubelet mounts it and swaps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import FilesSource

if TYPE_CHECKING:
    from pathlib import Path


def kubernetes_mount(directory: Path, generation: str, username: str, password: str) -> FilesSource:
    """Write a volume as the kubelet's AtomicWriter does: links through `..data`, which is replaced by a rename."""
    data = directory / f"..{generation}"
    data.mkdir()
    (data / "username").write_text(username)
    (data / "password").write_text(password)
    (directory / "..data_tmp").symlink_to(data.name)
    (directory / "..data_tmp").rename(directory / "..data")
    for name in ("username", "password"):
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")
    return FilesSource(directory / "username", directory / "password")
