"""The ledger's file: whose it is, and what becomes of it when it or its disk is damaged or full."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.ledger.entry import LedgerError, Settled, State, UnusableLedgerError, Wanted
from proxy.ledger.sqlite import SqliteStore, file_error
from tests.support.ledgers import NOW, begun, ended, intent, sqlite_store, ticket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let this process write files of 256 KiB, as a disk that is full would; the kernel's signal for it is ignored."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_only_its_owner_reads_the_file_and_what_belongs_to_it(path: Path) -> None:
    path.touch(mode=0o644)
    before = os.umask(0)
    try:
        store = sqlite_store(path)
        begun(store, intent("p-1"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.db.lock"), 0o600)


def test_two_sidecars_do_not_share_a_file(path: Path) -> None:
    store = sqlite_store(path)
    with pytest.raises(UnusableLedgerError, match="another sidecar uses the ledger"):
        sqlite_store(path)
    store.close()
    sqlite_store(path).close()


def test_a_lock_that_was_removed_is_made_again_with_the_next_call(path: Path) -> None:
    store = sqlite_store(path)
    Path(f"{path}.lock").unlink()
    begun(store, intent("p-1"))
    with pytest.raises(UnusableLedgerError, match="another sidecar uses the ledger"):
        sqlite_store(path)
    store.close()


def test_a_lock_that_cannot_be_taken_anew_takes_no_intent(path: Path) -> None:
    store = sqlite_store(path)
    lock = Path(f"{path}.lock")
    lock.unlink()
    lock.mkdir()
    with pytest.raises(LedgerError, match="lock: Is a directory"):
        begun(store, intent("p-1"))
    store.close()


def test_of_two_sidecars_on_one_file_the_one_whose_lock_was_removed_writes_no_more(path: Path) -> None:
    store = sqlite_store(path)
    Path(f"{path}.lock").unlink()
    second = sqlite_store(path)
    with pytest.raises(LedgerError, match="another sidecar uses the ledger"):
        begun(store, intent("p-1"))
    begun(second, intent("p-2"))
    second.close()
    begun(store, intent("p-3"))
    store.close()


def test_a_person_reads_beside_the_sidecar(path: Path) -> None:
    store = sqlite_store(path)
    begun(store, intent("p-1"))
    reader = sqlite_store(path, writes=False)
    assert [entry.state for entry in reader.entries(Wanted())] == [State.OPEN]
    reader.close()
    store.close()


def test_a_person_who_reads_holds_up_no_call(path: Path) -> None:
    store = sqlite_store(path)
    begun(store, intent("p-1"))
    reader = sqlite_store(path, writes=False)
    with reader.transaction(writes=False):
        assert reader.execute("SELECT count(*) FROM entry")[0][0] == 1
        begun(store, intent("p-2"))
    reader.close()
    store.close()


class Explaining(SqliteStore):
    """Notes how SQLite finds the rows of each statement."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, wall=lambda: NOW)
        self.plans: list[str] = []

    def execute(self, sql: str, values: Sequence[object] = ()) -> Sequence[Sequence[Any]]:
        if sql.startswith(("SELECT", "UPDATE", "DELETE")):
            self.plans += [row[3] for row in super().execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        return super().execute(sql, values)


def test_nothing_that_a_call_may_wait_for_reads_the_whole_ledger(path: Path) -> None:
    store = Explaining(path)
    store.open()
    (one,) = begun(store, intent("p-1"))
    store.write([ticket(intent("p-1"))], [ended(one, State.UNKNOWN, 0)])
    store.summary()
    store.interrupt("another", NOW)
    store.due(NOW, 20)
    store.prune(NOW)
    store.postpone(1, NOW, asked=True)
    store.settle(1, Settled.EXECUTED, "", NOW)
    store.resolve(1, Settled.EXECUTED, "", NOW)
    for wanted in (Wanted(unsettled=True, most=10), Wanted(name="p-1"), Wanted(name="1"), Wanted(numbers=(1,))):
        assert list(store.entries(wanted)) is not None
    store.close()
    assert len(store.plans) > 10
    assert [plan for plan in store.plans if plan.startswith("SCAN entry")] == []


def test_a_person_makes_no_ledger(path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger at"):
        sqlite_store(path, writes=False)
    assert not path.exists()


def test_a_file_that_was_taken_away_or_replaced_takes_no_intent_until_it_is_back(path: Path, tmp_path: Path) -> None:
    store, elsewhere = sqlite_store(path), tmp_path / "elsewhere"
    (one,) = begun(store, intent("p-1"))
    path.rename(elsewhere)
    with pytest.raises(LedgerError, match="was removed or replaced"):
        begun(store, intent("p-2"))
    path.touch()
    with pytest.raises(LedgerError, match="put it back, or restart the sidecar"):
        store.write([], [ended(one)])
    elsewhere.rename(path)
    store.write([], [ended(one)])
    begun(store, intent("p-3"))
    assert [entry.intent.external_id for entry in store.entries(Wanted())] == ["p-3", "p-1"]
    store.close()


def test_a_file_of_a_newer_release_is_left_alone(path: Path) -> None:
    sqlite_store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(UnusableLedgerError, match="newer release"):
        sqlite_store(path)


def test_a_folder_that_is_not_there_is_told(path: Path) -> None:
    with pytest.raises(LedgerError, match="No such file or directory"):
        sqlite_store(path / "ledger.db")


@pytest.mark.parametrize("damage", ["overwritten", "torn"])
def test_a_damaged_file_is_set_aside_and_told(path: Path, damage: str) -> None:
    store = sqlite_store(path)
    begun(store, *(intent(f"p-{number}") for number in range(500)))
    store.close()
    content = path.read_bytes()
    damaged = b"no database" * 100 if damage == "overwritten" else content[:8192] + b"\xff" * 8192 + content[16_384:]
    path.write_bytes(damaged)
    told: list[Path] = []
    store = SqliteStore(path, wall=lambda: NOW, damaged=told.append)
    store.open()
    assert [aside.read_bytes() for aside in told] == [damaged]
    assert list(store.entries(Wanted())) == []
    begun(store, intent("p-1"))
    store.close()


def test_a_disk_that_is_full_refuses_intents_loses_none_and_serves_again(
    path: Path, request: pytest.FixtureRequest
) -> None:
    store = sqlite_store(path)
    tickets = begun(store, intent("p-first"))
    request.getfixturevalue("small_files")
    for number in range(10_000):
        try:
            tickets += begun(store, intent(f"p-{number}"))
        except LedgerError as error:
            told = str(error)
            break
    else:
        told = ""
    assert "ledger.db" in told
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    tickets += begun(store, intent("p-last"))
    kept = {entry.intent.external_id for entry in store.entries(Wanted())}
    assert kept == {one.intent.external_id for one in tickets}
    assert store.verify() == []
    store.close()


_WRITER = """
import sys
from pathlib import Path
from tests.support.ledgers import intent, sqlite_store, begun
store = sqlite_store(Path(sys.argv[1]))
number = 0
while True:
    begun(store, intent(f"p-{number}"))
    print(number, flush=True)
    number += 1
"""


def test_what_was_said_to_be_written_survives_a_sigkill(path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 50:
            break
    writer.kill()
    said = [int(line), *map(int, writer.stdout.read().split())]
    writer.wait(timeout=30)
    writer.stdout.close()
    store = sqlite_store(path)
    kept = {entry.intent.external_id for entry in store.interrupt("another", NOW)}
    assert {f"p-{number}" for number in range(said[-1] + 1)} <= kept
    store.close()


def test_the_file_holds_nothing_of_a_body(path: Path) -> None:
    store = sqlite_store(path)
    (one,) = begun(store, intent("p-1", digest="ab12"))
    store.write([], [ended(one)])
    (entry,) = store.entries(Wanted())
    columns = [row[1] for row in store.execute("PRAGMA table_info(entry)")]
    assert (entry.intent.digest, set(columns)) == ("ab12", {
        "number", "serial", "request_id", "at", "instance", "caller", "operation", "kind", "external_id", "digest",
        "check_path", "state", "ended_at", "status", "attempts", "asks", "next_ask", "settled", "detail", "settled_at",
        "repeatable",
    })  # fmt: skip
    store.close()


def test_another_user_s_file_is_told_from_a_folder_that_is_missing() -> None:
    path = Path("/data/ledger.db")
    refused = str(file_error(path, PermissionError(errno.EACCES, "Permission denied")))
    assert refused.startswith("/data/ledger.db: Permission denied: run this as the user who owns it, or name a file")
    missing = str(file_error(path, FileNotFoundError(errno.ENOENT, "No such file or directory")))
    assert missing.startswith("/data/ledger.db: No such file or directory: name a file")
