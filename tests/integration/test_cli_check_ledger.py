"""What `check` says of the outcome ledger: that a start could use it, or in a start's own words why not."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from proxy.cli.check.findings import Result
from proxy.cli.check.run import run_checks
from proxy.cli.exits import Exit
from proxy.ledger.entry import LedgerError
from tests.support.ledgers import begun, intent, postgres_store, sqlite_store
from tests.support.postgres import needs_postgres, postgres_server

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.cli.check.findings import Finding


def checked(address: str, *, live: bool = False) -> tuple[Finding, Exit]:
    """What is said of the ledger, and what the command ends with."""
    settings = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_BASE_URL": "http://127.0.0.1:9",
        "LOCALPAYMENT_USERNAME": "anything",
        "LOCALPAYMENT_PASSWORD": "anything",
        "PROXY_LEDGER": address,
    }
    report = run_checks(settings, live=live, country="ARG")
    (found,) = [item for item in report.findings if item.step == "ledger"]
    assert "never-shown" not in report.as_json()
    return found, report.exit_code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_a_file_that_is_not_there_yet_is_fine_and_not_made(path: Path) -> None:
    found, code = checked(f"sqlite:{path}")
    assert (found.result, code) == (Result.OK, Exit.FINE)
    assert "the next start makes it" in found.found
    assert "MiB are free" in found.found
    assert list(path.parent.iterdir()) == []


def test_what_a_file_has_not_settled_is_told_and_whether_a_sidecar_uses_it(path: Path) -> None:
    store = sqlite_store(path)
    begun(store, intent("p-1"))
    assert "calls that are not settled: 1" in checked(f"sqlite:{path}")[0].found
    assert "another one would not start" in checked(f"sqlite:{path}")[0].found
    store.close()
    assert "another one" not in checked(f"sqlite:{path}")[0].found


def test_a_folder_that_is_missing_is_told_as_a_start_tells_it(path: Path) -> None:
    missing = path.parent / "missing" / "ledger.db"
    with pytest.raises(LedgerError) as told:
        sqlite_store(missing)
    found, code = checked(f"sqlite:{missing}")
    assert (found.result, found.found, code) == (Result.FAILED, str(told.value), Exit.BAD_CONFIGURATION)


def test_a_file_of_a_newer_release_is_told_as_a_start_tells_it(path: Path) -> None:
    sqlite_store(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(LedgerError) as told:
        sqlite_store(path)
    found, code = checked(f"sqlite:{path}")
    assert (found.result, found.found, code) == (Result.FAILED, str(told.value), Exit.BAD_CONFIGURATION)


def test_a_file_that_is_no_ledger_is_told_and_left_where_it_is(path: Path) -> None:
    path.write_bytes(b"x" * 8192)
    found, code = checked(f"sqlite:{path}")
    assert (found.result, code) == (Result.FAILED, Exit.BAD_CONFIGURATION)
    assert "file is not a database" in found.found
    assert path.read_bytes() == b"x" * 8192


@needs_postgres
def test_a_database_is_connected_to_only_when_asked_for() -> None:
    with postgres_server() as server:
        url = server.create("payments")
        assert "that takes --live" in checked(url)[0].found
        assert "the next start makes it" in checked(url, live=True)[0].found
        store = postgres_store(url)
        begun(store, intent("p-1"))
        store.close()
        assert "calls that are not settled: 1" in checked(url, live=True)[0].found
    found, code = checked(url, live=True)
    assert (found.result, code) == (Result.FAILED, Exit.UNAVAILABLE)
    assert "it cannot be reached" in found.found


@pytest.mark.parametrize(("more", "told"), [
    ("", "but without sslmode=verify-full"), ("?sslmode=require", "but without sslmode=verify-full"),
    ("?sslmode=verify-full", "takes --live"), ("?sslmode=verify-full&sslrootcert=/missing.pem", "/missing.pem"),
])  # fmt: skip
def test_tls_is_told_as_the_address_asks_for_it(more: str, told: str) -> None:
    found, _ = checked(f"postgresql://ledger:never-shown@db.internal/payments{more}")
    assert told in found.found
    assert (found.result is Result.FAILED) == ("missing" in told)
    assert ("but without" in found.found) == ("but without" in told)
