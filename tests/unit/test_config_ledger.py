"""Where the ledger is kept: how it is written, what holds when it is not, and that no password of it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config import LedgerDatabase, LedgerFile, SettingsError, load_settings
from proxy.config.declared_settings import effective
from proxy.hardening import rules
from proxy.process.landlock import Access

GIVEN = {
    "LOCALPAYMENT_ENVIRONMENT": "sandbox",
    "LOCALPAYMENT_USERNAME": "merchant",
    "LOCALPAYMENT_PASSWORD": "invented",
}
ADDRESS = "postgresql://ledger:never-shown@db.internal/payments"


def test_a_file_a_database_or_none_can_be_named() -> None:
    assert load_settings({**GIVEN, "PROXY_LEDGER": "sqlite:/data/l.db"}).ledger == LedgerFile(Path("/data/l.db"))
    found = load_settings({**GIVEN, "PROXY_LEDGER": ADDRESS}).ledger
    assert isinstance(found, LedgerDatabase)
    assert found.address.reveal() == ADDRESS
    assert load_settings({**GIVEN, "PROXY_LEDGER": "off", "STATE_DIRECTORY": "/var/lib/x"}).ledger == "off"


def test_it_stands_where_systemd_gives_a_folder_and_nowhere_else_unasked() -> None:
    assert load_settings(GIVEN).ledger == "off"
    settings = load_settings({**GIVEN, "STATE_DIRECTORY": "/var/lib/one:/var/lib/two"})
    assert settings.ledger == LedgerFile(Path("/var/lib/one/ledger.db"))


def test_its_address_is_shown_without_what_is_secret_in_it() -> None:
    shown = effective(load_settings({**GIVEN, "PROXY_LEDGER": ADDRESS}))["PROXY_LEDGER"]
    assert shown == "postgresql://[redacted]"
    assert (
        effective(load_settings({**GIVEN, "PROXY_LEDGER": "sqlite:/data/l.db"}))["PROXY_LEDGER"] == "sqlite:/data/l.db"
    )


@pytest.mark.parametrize(
    "text", ["sqlite:l.db", "sqlite://data/l.db", "/data/l.db", "sqlite:/data/", "mysql://x", "postgresql://a b"]
)
def test_anything_else_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(SettingsError) as told:
        load_settings({**GIVEN, "PROXY_LEDGER": text})
    assert text not in str(told.value)


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2_592_000.0), ("12h", 43_200.0), ("3653d", 315_619_200.0)])
def test_how_long_entries_are_kept_may_be_said_in_days(text: str, seconds: float) -> None:
    settings = load_settings({**GIVEN, "PROXY_LEDGER_KEEP": text, "PROXY_DUPLICATE_WINDOW": "12h"})
    assert (settings.ledger_keep, effective(settings)["PROXY_LEDGER_KEEP"]) == (seconds, text)


@pytest.mark.parametrize("text", ["0d", "0s", "4000d", "30", "1.5d"])
def test_other_ages_are_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        load_settings({**GIVEN, "PROXY_LEDGER_KEEP": text})


def test_the_process_may_still_write_in_the_ledgers_folder() -> None:
    settings = load_settings({**GIVEN, "PROXY_LEDGER": "sqlite:/data/l.db"})
    (access,) = (rule.access for rule in rules(settings) if rule.path == Path("/data"))
    assert access >= Access.WRITE_FILE | Access.MAKE_REG | Access.REMOVE_FILE | Access.TRUNCATE
