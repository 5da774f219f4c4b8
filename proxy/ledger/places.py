"""Makes the store that a setting names: a SQLite file or a PostgreSQL database. It opens nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import LedgerFile
from proxy.ledger.postgres import PostgresStore
from proxy.ledger.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.config import LedgerDatabase
    from proxy.ledger.store import Store


def store_at(
    place: LedgerFile | LedgerDatabase,
    *,
    wall: Callable[[], float],
    timeout: float,
    writes: bool = True,
    damaged: Callable[[Path], None] = lambda _path: None,
) -> Store:
    """Return a store that `open` must be called on.

    Args:
        place: where it is.
        wall: seconds since the Unix epoch.
        timeout: seconds that a statement of a database may take.
        writes: whether this process carries calls; a person's command, beside the sidecar or without it, does not.
        damaged: told where a damaged file was set aside.

    Raises:
        UnusableLedgerError: psycopg is not installed.
    """
    if isinstance(place, LedgerFile):
        return SqliteStore(place.path, wall=wall, damaged=damaged, writes=writes)
    return PostgresStore(place.address, timeout=timeout, writes=writes)
