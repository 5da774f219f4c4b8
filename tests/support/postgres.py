"""A real PostgreSQL server of a test's own, on a Unix socket in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND: Final = 60  # seconds that nothing here may take
USER: Final = "postgres"  # whom the server runs as where the tests run as root, which it refuses


def _binaries() -> Path | None:
    """Return the folder of the server's own commands, which Debian keeps out of PATH."""
    debian = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    found = shutil.which("initdb")
    return debian if debian is not None or found is None else Path(found).resolve().parent


BINARIES: Final = _binaries()
needs_postgres = pytest.mark.skipif(
    BINARIES is None, reason="the ledger in PostgreSQL NOT TESTED: no server here; apt-get install postgresql"
)


class PostgresServer:
    """A server that can be stopped, killed and started again; `url(name)` is a database of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"

    def initialise(self) -> None:
        # fsync stays on in the server itself: what a commit costs is part of what is tested.
        self._run("initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")

    def start(self, more: str = "") -> None:
        """Start it, with more of its options if any."""
        options = f"-k {self.folder} -c listen_addresses= -c max_connections=40 -c shared_buffers=16MB {more}"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def stop(self, how: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", how, "stop")

    def create(self, database: str) -> str:
        """Make an empty database, and return its address."""
        self._run("createdb", "-h", str(self.folder), "-U", USER, database)
        return self.url(database)

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:never-shown@/{database}?host={quote(str(self.folder), safe='')}"

    def ask(self, database: str, sql: str) -> str:
        return self._run("psql", "-h", str(self.folder), "-U", USER, "-d", database, "-qtAc", sql).strip()

    def _run(self, command: str, *arguments: str) -> str:
        assert BINARIES is not None
        line = [str(BINARIES / command), *arguments]
        if os.geteuid() == 0:
            line = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *line]
        environ = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        output = self.folder / "output"  # a server that is started keeps what it inherits, so no pipe
        with output.open("w+") as said:
            done = subprocess.run(line, stdout=said, stderr=said, env=environ, cwd="/", check=False, timeout=BOUND)
            said.seek(0)
            text = said.read()
        assert done.returncode == 0, text
        return text


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-", dir="/tmp"))  # a socket's path must be short
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        server = PostgresServer(folder)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            if (server.folder / "data" / "postmaster.pid").exists():
                server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
