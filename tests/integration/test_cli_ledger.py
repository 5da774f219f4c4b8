"""`ledger` as a person types it, on real files and a real PostgreSQL server, beside the store that writes them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from proxy.cli.commands import exit_code
from proxy.ledger.entry import Settled, State, Wanted
from tests.support.ledgers import begun, ended, intent, postgres_store, sqlite_store
from tests.support.postgres import PostgresServer, needs_postgres, postgres_server
from tests.support.processes import ran

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from proxy.ledger.store import Store

_NAMES = itertools.count(1)


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Person:
    """Types commands, in this process."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    def __call__(self, *words: str) -> Said:
        code = exit_code(["ledger", *words])
        return Said(code, *self._captured.readouterr())

    def json(self, *words: str) -> Any:
        said = self(*words, "--json")
        assert (said.code, said.err) in ((0, ""), (0, f"the newest {words[-1]}; --limit shows more\n"))
        return json.loads(said.out)


@pytest.fixture(autouse=True)
def _no_settings_of_the_testers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("PROXY_LEDGER", "PROXY_CONFIG_FILE", "STATE_DIRECTORY"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def person(capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(capsys)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The ledger of a sidecar that runs; PROXY_LEDGER names it."""
    if request.param == "postgres":
        url = request.getfixturevalue("server").create(f"cli_{next(_NAMES)}")
        opened: Store = postgres_store(url)
    else:
        url = f"sqlite:{tmp_path / 'ledger.db'}"
        opened = sqlite_store(tmp_path / "ledger.db")
    monkeypatch.setenv("PROXY_LEDGER", url)
    yield opened
    opened.close()


@pytest.fixture
def calls(store: Store) -> Store:
    """Four calls: answered two hours ago, unknown, refund of the same payment on its way, interrupted."""
    now = time.time()
    first, second, _, _ = begun(
        store,
        intent("order-1", at=now - 7200, request_id="first"),
        intent("order-2", at=now - 400, request_id="second"),
        intent("order-2", at=now - 300, operation="refund_payin"),
        intent("order-4", at=now - 200, operation="create_payin", instance="dead"),
    )
    store.write([], [ended(first, at=now - 7199), ended(second, State.UNKNOWN, 502, at=now - 399)])
    with store.transaction():
        store.execute_each(
            "UPDATE entry SET state = 'interrupted', next_ask = ? WHERE instance = 'dead'", [(now + 90,)]
        )
    return store


def numbers(person: Person, *words: str) -> list[int]:
    return [entry["number"] for entry in person.json("list", *words)]


# list


def test_calls_are_listed_newest_first_with_what_became_of_them(calls: Store, person: Person) -> None:
    assert calls.settle(4, Settled.EXECUTED, "COMPLETED", time.time())
    said = person("list")
    head, *lines = said.out.splitlines()
    assert (said.code, said.err, head.split("  ")[0]) == (0, "", "NUMBER")
    assert [line.split()[0] for line in lines] == ["4", "3", "2", "1"]
    assert lines[0].endswith("interrupted  -       executed (COMPLETED)")
    assert "no end yet, after 5 min" in lines[1]
    assert "unknown      502     not known; not asked yet, next in " in lines[2]
    assert lines[3].endswith("order-1      answered     200")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--open",), [4, 3, 2]),
        (("--unknown",), [4, 2]),
        (("--open", "--unknown"), [4, 2]),
        (("--since", "1h"), [4, 3, 2]),
        (("--since", "1d"), [4, 3, 2, 1]),
        (("--since", "2020-01-31"), [4, 3, 2, 1]),
        (("--since", "2999-01-31T08:00:00Z"), []),
        (("--operation", "refund_payin"), [3]),
        (("--limit", "2"), [4, 3]),
    ],
)
def test_options_narrow_the_list(calls: Store, person: Person, options: tuple[str, ...], found: list[int]) -> None:
    assert calls.summary().open.total() == 3
    assert numbers(person, *options) == found


def test_what_was_settled_is_open_no_more_and_stays_unknown(calls: Store, person: Person) -> None:
    calls.settle(4, Settled.NOT_FOUND, "", time.time())
    assert numbers(person, "--open") == [3, 2]
    assert numbers(person, "--unknown") == [4, 2]


@pytest.mark.usefixtures("calls")
def test_a_list_that_is_cut_says_so(person: Person) -> None:
    for form in ((), ("--json",)):
        assert person("list", "--limit", "4", *form).err == "the newest 4; --limit shows more\n"
    assert person("list", "--limit", "5").err == ""


def test_a_ledger_without_a_call_says_so(store: Store, person: Person) -> None:
    assert person("list") == (0, "the ledger holds no call yet\n", "")
    begun(store, intent("order-1"))
    assert person("list", "--operation", "wire_out") == (0, "no such call\n", "")
    assert person.json("list", "--operation", "wire_out") == []


def test_an_id_cannot_command_the_terminal(store: Store, person: Person) -> None:
    begun(store, intent("order\x1b]0;owned\x07"))
    for said in (person("list"), person("show", "1")):
        assert "\x1b" not in said.out
        assert "order?]0;owned?" in said.out


@pytest.mark.parametrize(
    ("options", "fix"),
    [
        (("--operation", "creat_payout"), "did you mean create_payout?"),
        (("--operation", "xyz"), "`localpayment-proxy operations` lists them"),
        (("--since", "yesterday"), "such as 2h or 7d, or a date"),
        (("--limit", "0"), "x>=1"),
    ],
)
def test_an_option_that_cannot_be_meant_is_wrong_usage(person: Person, options: tuple[str, ...], fix: str) -> None:
    said = person("list", *options)
    assert (said.code, said.out) == (2, "")
    assert fix in said.err


# show


@pytest.mark.parametrize("name", ["2", "second"])
@pytest.mark.usefixtures("calls")
def test_a_call_is_shown_by_number_or_request_id(person: Person, name: str) -> None:
    shown = person.json("show", name)
    assert (shown["number"], shown["external_id"], shown["state"]) == (2, "order-2", "unknown")
    assert shown["at"].endswith("Z")
    text = person("show", name).out
    assert "external id        order-2" in text
    assert "what became of it  not known; not asked yet" in text


@pytest.mark.usefixtures("calls")
def test_a_call_is_shown_by_its_external_id(person: Person) -> None:
    assert person.json("show", "order-1")["request_id"] == "first"


@pytest.mark.usefixtures("calls")
def test_an_id_of_several_calls_is_told_with_their_numbers(person: Person) -> None:
    for words in (("show", "order-2"), ("resolve", "order-2", "--as", "executed")):
        said = person(*words)
        assert (said.code, said.out) == (1, "")
        assert "name one by its number: 3 (refund_payin), 2 (create_payout)" in said.err


def test_an_id_of_very_many_calls_names_the_newest(store: Store, person: Person) -> None:
    begun(store, *(intent("order-1") for _ in range(12)))
    assert person("show", "order-1").err.rstrip().endswith("3 (create_payout) and more")


def test_an_entry_whose_number_is_the_id_of_another_call_can_be_named(store: Store, person: Person) -> None:
    begun(store, intent("order-1"), intent("order-2", request_id="second"), intent("2", request_id="third"))
    said = person("show", "2")
    assert said.code == 1
    assert said.err.endswith(": 3 (create_payout), 2 (create_payout, by its request id second)\n")
    assert person.json("show", "second")["number"] == 2


def test_an_external_id_that_begins_with_noughts_is_no_number(store: Store, person: Person) -> None:
    begun(store, intent("order-1"))
    assert person("resolve", "0000001", "--as", "not_executed").code == 1


@pytest.mark.parametrize("name", ["99", "no-such", "", "9" * 40, "order-\udcff", "order-1\0"])
@pytest.mark.usefixtures("calls")
def test_an_unknown_id_is_told_and_not_repeated(person: Person, name: str) -> None:
    said = person("show", name)
    assert (said.code, said.out) == (1, "")
    assert said.err == ("no call in the ledger has this number, request id or external id: `ledger list` shows them\n")


# resolve


def test_what_a_person_says_stands_and_its_note_is_shown(calls: Store, person: Person) -> None:
    said = person("resolve", "second", "--as", "not_executed", "--note", "ticket 20261129000123")
    assert said == (0, "2 create_payout: not_executed (before: unknown)\n", "")
    shown = person.json("show", "2")
    assert (shown["settled"], shown["detail"], shown["next_ask"]) == ("not_executed", "ticket 20261129000123", None)
    assert not calls.settle(2, Settled.EXECUTED, "COMPLETED", time.time())
    again = person("resolve", "2", "--as", "executed")
    assert again.out == "2 create_payout: executed (before: not_executed)\n"


@pytest.mark.parametrize(
    ("note", "fix"),
    [
        ("card 4111 1111 1111 1111", "looks like a card number"),
        ("4111-1111-1111-1111", "looks like a card number"),
        ("x" * 201, "at most 200 printable characters"),
        ("two\nlines", "printable"),
    ],
)
def test_a_note_that_must_not_be_kept_changes_nothing(calls: Store, person: Person, note: str, fix: str) -> None:
    said = person("resolve", "2", "--as", "executed", "--note", note)
    assert (said.code, said.out) == (2, "")
    assert fix in said.err
    assert note not in said.err
    assert next(calls.entries(Wanted(name="second"))).settled is None


def test_an_external_id_of_digits_is_never_the_number_of_another_call(store: Store, person: Person) -> None:
    begun(store, intent("7001"), intent("1"))
    told = person("resolve", "1", "--as", "not_executed", "--external-id")
    assert (told.code, told.out) == (0, "2 create_payout: not_executed (before: open)\n")
    assert person("resolve", "2", "--as", "executed", "--external-id").code == 1


@pytest.mark.parametrize("words", [("resolve", "2"), ("resolve", "2", "--as", "lost"), ("resolve",), ("show",)])
def test_a_command_without_what_it_needs_is_wrong_usage(person: Person, words: tuple[str, ...]) -> None:
    assert person(*words).code == 2


# export, verify, prune


@pytest.mark.usefixtures("calls")
def test_an_export_holds_every_call_in_both_forms(person: Person) -> None:
    lines = [json.loads(line) for line in person("export").out.splitlines()]
    assert [line["number"] for line in lines] == [4, 3, 2, 1]
    assert lines == person.json("list")
    rows = list(csv.DictReader(io.StringIO(person("export", "--format", "csv", "--since", "1h").out)))
    assert [row["number"] for row in rows] == ["4", "3", "2"]
    assert set(rows[0]) == set(lines[0])
    assert (rows[2]["external_id"], rows[2]["settled"], rows[2]["status"]) == ("order-2", "", "502")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\uff1d"])
def test_an_export_for_spreadsheets_holds_no_formula_and_no_control(store: Store, person: Person, sign: str) -> None:
    begun(store, intent(f"{sign}HYPERLINK(1)\x1b[2J", at=time.time()))
    (row,) = csv.DictReader(io.StringIO(person("export", "--format", "csv").out))
    assert row["external_id"] == f"'{sign}HYPERLINK(1)?[2J".replace("\t", "?")
    (line,) = person("export").out.splitlines()
    assert json.loads(line)["external_id"] == f"{sign}HYPERLINK(1)\x1b[2J"


@pytest.mark.usefixtures("store")
def test_an_export_of_nothing_is_empty(person: Person) -> None:
    for form in ("csv", "jsonl"):
        assert person("export", "--format", form) == (0, "", "")


def test_an_export_is_read_page_by_page(store: Store, person: Person) -> None:
    begun(store, *(intent(f"order-{number}") for number in range(2001)))
    lines = person("export").out.splitlines()
    assert [json.loads(line)["number"] for line in lines] == list(range(2001, 0, -1))
    assert len(numbers(person, "--limit", "1500")) == 1500


@pytest.mark.usefixtures("calls")
def test_a_sound_ledger_is_called_sound(person: Person) -> None:
    assert person("verify") == (0, "sound; calls that are not settled: 3\n", "")


@pytest.mark.usefixtures("calls")
def test_old_calls_are_forgotten_but_for_those_that_are_not_settled(person: Person) -> None:
    assert person("prune") == (0, "calls forgotten: 0\n", "")
    assert person("prune", "--older-than", "1s").out == "calls forgotten: 1\n"
    assert person("prune", "--older-than", "1s").out == "calls forgotten: 0\n"
    assert numbers(person) == [4, 3, 2]


# which ledger


def test_without_a_ledger_the_command_says_what_to_set(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "off"):
        monkeypatch.setenv("PROXY_LEDGER", value)
        said = person("list")
        assert (said.code, said.out) == (78, "")
        assert said.err.startswith("no ledger is configured: set PROXY_LEDGER as the sidecar has it")


def test_a_ledger_that_cannot_be_meant_is_not_repeated(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_LEDGER", "mysql://user:never-shown@db")
    said = person("list")
    assert said.code == 78
    assert said.err.startswith("PROXY_LEDGER: write sqlite:/path")
    assert "never-shown" not in said.err


def test_the_configuration_file_and_the_state_directory_name_a_ledger_too(
    person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = sqlite_store(tmp_path / name / "ledger.db")
        begun(made, intent(name))
        made.close()
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path / 'one'}:/elsewhere")
    assert person.json("show", "1")["external_id"] == "one"
    file = tmp_path / "proxy.toml"
    file.write_text(f'proxy_ledger = "sqlite:{tmp_path}/two/ledger.db"\n')
    monkeypatch.setenv("PROXY_CONFIG_FILE", str(file))
    assert person.json("show", "1")["external_id"] == "two"
    file.write_text("broken")
    assert person("list").code == 78


def test_a_file_that_is_missing_is_not_made(person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("PROXY_LEDGER", f"sqlite:{path}")
    said = person("list")
    assert (said.code, said.out) == (1, "")
    assert said.err == f"there is no ledger at {path}: a sidecar makes it at its first start\n"
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_told_by_verify_and_left_as_it_is(
    person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("PROXY_LEDGER", f"sqlite:{path}")
    store = sqlite_store(path)
    begun(store, *(intent(f"order-{number}") for number in range(500)))
    store.close()
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)
    before = path.read_bytes()
    said = person("verify")
    assert (said.code, said.out) == (1, "")
    assert "damaged: " in said.err or str(path) in said.err
    assert path.read_bytes() == before
    path.write_bytes(b"no database, and longer than a header of one" * 100)
    assert person("verify") == (1, "", f"{path}: file is not a database\n")


def test_a_file_of_another_release_is_not_touched(
    person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.db"
    sqlite_store(path).close()
    monkeypatch.setenv("PROXY_LEDGER", f"sqlite:{path}")
    for version, text in {99: "newer release (schema 99)", 0: "older release (schema 0)"}.items():
        with sqlite3.connect(path) as database:
            database.execute(f"PRAGMA user_version = {version}")
        said = person("list")
        assert said.code == 1
        assert text in said.err


@needs_postgres
def test_a_database_without_a_ledger_gets_none(
    person: Person, monkeypatch: pytest.MonkeyPatch, server: PostgresServer
) -> None:
    monkeypatch.setenv("PROXY_LEDGER", server.create("empty"))
    said = person("verify")
    assert (said.code, said.out) == (1, "")
    assert said.err == "there is no ledger in this database: a sidecar makes it at its first start\n"
    assert server.ask("empty", "SELECT count(*) FROM pg_namespace WHERE nspname = 'localpayment_proxy'") == "0"


def test_a_database_that_is_away_is_told_without_its_address(
    person: Person, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("PROXY_LEDGER", f"postgresql://someone:never-shown@/ledger?host={tmp_path}")
    said = person("list")
    assert (said.code, said.out) == (1, "")
    assert said.err == "PostgreSQL: OperationalError: it cannot be reached, or refuses this user\n"


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Path]:
    """The file of a sidecar that runs, with one call."""
    store = sqlite_store(tmp_path / "ledger.db")
    begun(store, intent("order-1"))
    yield tmp_path / "ledger.db"
    store.close()


async def test_the_command_needs_no_credential_and_no_other_setting(written: Path) -> None:
    finished = await ran("ledger", "show", "order-1", settings={"PROXY_LEDGER": f"sqlite:{written}"})
    assert (finished.code, finished.err) == (0, "")
    assert "order-1" in finished.out
