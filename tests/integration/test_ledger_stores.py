"""Both engines of the ledger, as real files and a real server keep it."""

from __future__ import annotations

import itertools
import secrets
import threading
from typing import TYPE_CHECKING

import pytest

from proxy.api.external_id import LONGEST
from proxy.ledger.entry import LedgerError, Settled, State, Wanted
from proxy.ledger.postgres import PostgresStore
from proxy.ledger.schedule import ASKS
from proxy.ledger.store import CLAIM
from proxy.secret import Secret
from tests.support.ledgers import DAY, NOW, begun, ended, intent, postgres_store, sqlite_store, ticket
from tests.support.postgres import PostgresServer, needs_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proxy.ledger.entry import Ticket
    from proxy.ledger.store import Store

EVERYTHING = Wanted()
_NAMES = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open the same ledger, anew each time."""
    stores: list[Store] = []
    if request.param == "postgres":
        url = request.getfixturevalue("server").create(f"ledger_{next(_NAMES)}")

    def another() -> Store:
        if request.param == "postgres":
            store: Store = postgres_store(url)
        else:
            if stores:
                stores[-1].close()
            store = sqlite_store(tmp_path / "ledger.db")
        stores.append(store)
        return store

    yield another
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], Store]) -> Store:
    return opened()


def states(store: Store, wanted: Wanted = EVERYTHING) -> list[State]:
    return [entry.state for entry in store.entries(wanted)]


def test_an_intent_is_open_until_its_end_is_written(store: Store) -> None:
    (one,) = begun(store, intent("p-1", digest="ab12"))
    (entry,) = store.entries(Wanted())
    assert (entry.intent, entry.state, entry.settled) == (one.intent, State.OPEN, None)
    store.write([], [ended(one, status=201)])
    (entry,) = store.entries(Wanted())
    assert (entry.intent, entry.state, entry.status, entry.attempts) == (one.intent, State.ANSWERED, 201, 1)
    assert (entry.ended_at, entry.next_ask) == (NOW + 1, None)


def test_the_longest_id_that_is_read_can_be_kept(store: Store) -> None:
    longest = "".join(chr(0x1_0000 + secrets.randbelow(0xF_FFFF)) for _ in range(LONGEST))
    begun(store, intent(longest))
    (again,) = begun(store, intent(longest))
    assert again.earlier is not None


def test_what_was_written_is_there_for_whoever_opens_the_ledger_next(opened: Callable[[], Store]) -> None:
    begun(opened(), intent("p-1"), intent("p-2"))
    again = opened()
    assert [entry.intent.external_id for entry in again.entries(Wanted())] == ["p-2", "p-1"]
    assert again.key() == again.key()


def test_what_is_written_twice_by_mistake_stands_there_once(store: Store) -> None:
    (one,) = begun(store, intent("p-1"))
    one.late = True  # a database that was cut off had not got to say that it was written
    store.write([], [ended(one)])
    store.write([], [one])
    assert states(store) == [State.ANSWERED]


def test_a_call_that_went_on_without_its_intent_is_written_with_its_end(store: Store) -> None:
    store.write([], [ended(ticket(intent("p-1"), late=True))])
    assert states(store) == [State.ANSWERED]


def test_a_call_that_was_given_up_leaves_nothing_open(store: Store) -> None:
    (one,), other = begun(store, intent("p-1")), ticket(intent("p-2"))
    store.write([], [ended(one, State.NOT_SENT, 0), ended(other, State.NOT_SENT, 0)])
    assert states(store) == [State.NOT_SENT]


@pytest.mark.parametrize(("state", "status", "repeat"), [
    (State.ANSWERED, 200, True), (State.ANSWERED, 422, False), (State.NOT_SENT, 0, False), (State.UNKNOWN, 0, True),
])  # fmt: skip
def test_the_same_call_again_is_a_repeat_of_one_that_may_have_been_carried_out(
    store: Store, state: State, status: int, *, repeat: bool
) -> None:
    (one,) = begun(store, intent("p-1", request_id="first", digest="ab12"))
    store.write([], [ended(one, state, status)])
    (again,) = begun(store, intent("p-1", at=NOW + 60, digest="ab12"))
    assert (again.earlier is not None) is repeat
    if again.earlier is not None:
        assert (again.earlier.request_id, again.earlier.at, again.earlier.state) == ("first", NOW, state)
        assert again.earlier.same_body is True


def test_who_was_told_not_sent_and_sends_the_call_again_at_once_repeats_nothing(store: Store) -> None:
    (one,) = begun(store, intent("p-1"))
    again = ticket(intent("p-1"), refused=True)
    store.write([again], [ended(one, State.NOT_SENT, 0)])
    assert again.earlier is None


def test_an_open_call_is_repeated_too_and_one_in_the_same_commit(store: Store) -> None:
    one, two = begun(store, intent("p-1", request_id="first"), intent("p-1"))
    assert one.earlier is None
    assert two.earlier is not None
    assert (two.earlier.request_id, two.earlier.same_body) == ("first", None)


def test_another_operation_another_id_no_id_and_a_later_day_make_no_repeat(store: Store) -> None:
    begun(store, intent("p-1"), intent(""))
    tickets = begun(
        store, intent("p-2"), intent("p-1", operation="cancel_payout"), intent(""), intent("p-1", at=NOW + DAY)
    )
    assert [one.earlier for one in tickets] == [None] * 4


def test_another_body_under_the_same_id_is_told(store: Store) -> None:
    begun(store, intent("p-1", digest="ab12"))
    (again,) = begun(store, intent("p-1", digest="ffff"))
    assert again.earlier is not None
    assert again.earlier.same_body is False


def test_a_repeat_that_is_refused_leaves_no_entry(store: Store) -> None:
    begun(store, intent("p-1"))
    one = ticket(intent("p-1"), refused=True)
    store.write([one], [])
    assert one.earlier is not None
    assert states(store) == [State.OPEN]


def test_an_unknown_call_is_asked_about_until_it_is_settled(store: Store) -> None:
    (one,) = begun(store, intent("p-1"))
    store.write([], [ended(one, State.UNKNOWN, 0, at=NOW)])
    assert store.due(NOW + ASKS[0] - 1, 10) == []
    (entry,) = store.due(NOW + ASKS[0], 10)
    assert store.due(NOW + ASKS[0], 10) == []
    assert store.due(NOW + ASKS[0] + CLAIM, 10) != [], "whoever claimed it may have died"
    store.postpone(entry.number, NOW + ASKS[1], asked=True)
    (entry,) = store.due(NOW + ASKS[1], 10)
    assert entry.asks == 1
    assert store.settle(entry.number, Settled.EXECUTED, "COMPLETED", NOW + 130)
    assert not store.settle(entry.number, Settled.NOT_FOUND, "", NOW + 140)
    (entry,) = store.entries(Wanted(numbers=(entry.number,)))
    assert (entry.settled, entry.detail, entry.settled_at, entry.next_ask) == (
        Settled.EXECUTED, "COMPLETED", NOW + 130, None,
    )  # fmt: skip


@pytest.mark.parametrize(("status", "repeats"), [(400, False), (201, True)])
def test_what_no_read_tells_of_is_as_likely_to_have_been_carried_out_as_before(
    store: Store, status: int, *, repeats: bool
) -> None:
    (one,) = begun(store, intent("p-1"))
    store.write([], [ended(one, State.ORPHANED, status)])
    (entry,) = store.entries(EVERYTHING)
    assert store.settle(entry.number, Settled.UNDETERMINED, "", NOW + DAY)
    (again,) = begun(store, intent("p-1"))
    assert (again.earlier is not None) is repeats


def test_what_a_person_says_replaces_what_was_found_out_and_is_not_replaced(store: Store) -> None:
    (one,) = begun(store, intent("p-1"))
    store.write([], [ended(one, State.UNKNOWN, 0, at=NOW)])
    (entry,) = store.entries(Wanted())
    assert store.resolve(entry.number, Settled.NOT_EXECUTED, "asked support", NOW + 5)
    assert not store.settle(entry.number, Settled.EXECUTED, "", NOW + 6)
    assert not store.resolve(entry.number + 1, Settled.EXECUTED, "", NOW)
    (again,) = begun(store, intent("p-1", at=NOW + 7))
    assert again.earlier is None


def test_an_end_that_comes_after_the_call_was_settled_is_noted_and_changes_nothing_else(store: Store) -> None:
    (one,) = begun(store, intent("p-1"))
    (entry,) = store.entries(Wanted())
    store.resolve(entry.number, Settled.EXECUTED, "seen", NOW)
    store.write([], [ended(one, State.UNKNOWN, 0)])
    (entry,) = store.entries(Wanted())
    assert (entry.state, entry.settled, entry.next_ask) == (State.UNKNOWN, Settled.EXECUTED, None)


@pytest.mark.parametrize(("state", "status", "repeats"), [(State.NOT_SENT, 0, False), (State.ANSWERED, 201, True)])
def test_an_end_that_comes_after_nothing_was_found_out_counts(
    store: Store, state: State, status: int, *, repeats: bool
) -> None:
    (one,) = begun(store, intent("p-1"))
    (interrupted,) = store.interrupt("two", NOW + 1000)
    assert store.settle(interrupted.number, Settled.UNDETERMINED, "", NOW + 1000)
    store.write([], [ended(one, state, status)])
    (entry,) = store.entries(EVERYTHING)
    assert (entry.state, entry.settled, entry.settled_at, entry.next_ask) == (state, None, None, None)
    (again,) = begun(store, intent("p-1"))
    assert (again.earlier is not None) is repeats


@pytest.mark.parametrize("said", [Settled.NOT_EXECUTED, Settled.NOT_FOUND, Settled.EXECUTED])
def test_an_answer_that_comes_later_is_stronger_than_word_that_nothing_was_carried_out(
    store: Store, said: Settled
) -> None:
    (one,) = begun(store, intent("p-1"))
    (entry,) = store.entries(EVERYTHING)
    assert store.resolve(entry.number, said, "said while it was on its way", NOW)
    store.write([], [ended(one, State.ANSWERED, 201)])
    (entry,) = store.entries(EVERYTHING)
    stands = said is Settled.EXECUTED
    assert (entry.state, entry.settled) == (State.ANSWERED, said if stands else None)
    assert (entry.detail, entry.settled_at) == ("said while it was on its way", NOW if stands else None)
    (again,) = begun(store, intent("p-1"))
    assert again.earlier is not None


@pytest.mark.parametrize(("state", "status"), [(State.UNKNOWN, 0), (State.ANSWERED, 502), (State.ANSWERED, 422)])
def test_word_that_nothing_was_carried_out_stands_when_the_call_ends_without_an_answer_or_with_an_error(
    store: Store, state: State, status: int
) -> None:
    (one,) = begun(store, intent("p-1"))
    (entry,) = store.entries(EVERYTHING)
    assert store.resolve(entry.number, Settled.NOT_EXECUTED, "", NOW)
    store.write([], [ended(one, state, status)])
    (entry,) = store.entries(EVERYTHING)
    assert (entry.state, entry.settled, entry.next_ask) == (state, Settled.NOT_EXECUTED, None)
    (again,) = begun(store, intent("p-1"))
    assert again.earlier is None


def test_calls_of_a_process_that_died_become_interrupted_once(store: Store) -> None:
    store.alive("two", NOW)
    begun(store, intent("p-1", instance="one"), intent("p-2", instance="two"))
    (entry,) = store.interrupt("two", NOW + 100)
    assert (entry.intent.external_id, entry.state, entry.next_ask) == ("p-1", State.INTERRUPTED, NOW + 130)
    assert store.interrupt("two", NOW + 100) == []


def test_what_is_not_settled_is_counted_by_operation(store: Store) -> None:
    one, _, other = begun(store, intent("p-1", at=NOW - 5), intent("p-2"), intent("c-1", operation="capture_payin"))
    store.write([], [ended(one, State.UNKNOWN, 0), ended(other)])
    summary = store.summary()
    assert (summary.open, summary.oldest) == ({"create_payout": 2}, NOW - 5)
    assert states(store, Wanted(unsettled=True, states=frozenset((State.OPEN,)))) == [State.OPEN]


def test_its_size_is_told(store: Store) -> None:
    before = store.summary().size
    begun(store, *(intent(f"p-{number}") for number in range(1000)))
    grown = store.summary().size - before
    assert 150_000 < grown < 2_000_000


def test_only_what_is_known_is_forgotten(store: Store) -> None:
    one, two, _ = begun(store, intent("p-1"), intent("p-2"), intent("p-3"))
    store.write([], [ended(one), ended(two, State.UNKNOWN, 0)])
    assert store.prune(NOW) == 0
    assert store.prune(NOW + 1) == 1
    assert sorted(entry.intent.external_id for entry in store.entries(Wanted())) == ["p-2", "p-3"]


def test_a_sound_ledger_has_nothing_wrong_with_it(store: Store) -> None:
    begun(store, intent("p-1"))
    assert store.verify() == []


def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(store: Store) -> None:
    bad = ticket(intent("p-2"))
    bad.serial = 1 << 80
    with pytest.raises((LedgerError, OverflowError)):
        store.write([ticket(intent("p-1")), bad], [])
    assert states(store) == []
    begun(store, intent("p-1"))
    assert states(store) == [State.OPEN]


@needs_postgres
def test_of_equal_calls_of_many_sidecars_one_is_the_first(server: PostgresServer) -> None:
    url = server.create("equal_calls")
    stores = [postgres_store(url) for _ in range(4)]
    tickets = [ticket(intent("p-1"), refused=True) for _ in range(100)]

    def write(store: Store, mine: list[Ticket]) -> None:
        for one in mine:
            store.write([one], [])

    threads = [threading.Thread(target=write, args=(store, tickets[at::4])) for at, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.earlier is None for one in tickets) == 1
    for store in stores:
        store.close()


@needs_postgres
def test_the_calls_of_an_instance_are_its_own_while_its_lease_lasts(server: PostgresServer) -> None:
    url = server.create("leases")
    one, two = postgres_store(url), postgres_store(url)
    one.alive("one", NOW)
    two.alive("two", NOW)
    begun(one, intent("p-1", instance="one"))
    assert two.interrupt("two", NOW) == []
    server.ask("leases", "UPDATE localpayment_proxy.instance SET until = now() - interval '1 s' WHERE name = 'one'")
    assert len(two.interrupt("two", NOW)) == 1
    one.close()
    two.close()


@needs_postgres
def test_a_server_that_went_away_is_found_again_and_no_error_quotes_its_address(server: PostgresServer) -> None:
    store = postgres_store(server.create("gone"))
    server.stop("immediate")
    for _ in range(2):
        with pytest.raises(LedgerError) as told:
            begun(store, intent("p-1"))
        assert "never-shown" not in str(told.value)
        assert str(server.folder) not in str(told.value)
    server.start()
    begun(store, intent("p-1"))
    assert states(store) == [State.OPEN]
    store.close()


@needs_postgres
def test_a_server_that_is_the_primary_no_more_is_left_for_the_one_that_is(server: PostgresServer) -> None:
    store = postgres_store(server.create("demoted"))
    with store.transaction():
        store.execute_each("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", [()])  # as a demotion does
    with pytest.raises(LedgerError, match="25006"):
        begun(store, intent("p-1"))
    begun(store, intent("p-2"))
    assert states(store) == [State.OPEN]
    store.close()


@needs_postgres
def test_a_database_of_a_newer_release_is_left_alone(server: PostgresServer) -> None:
    url = server.create("newer")
    postgres_store(url).close()
    server.ask("newer", "INSERT INTO localpayment_proxy.schema_version VALUES (99)")
    with pytest.raises(LedgerError, match="newer release"):
        postgres_store(url)


@needs_postgres
def test_a_user_that_may_create_nothing_carries_calls_once_the_tables_are_there(server: PostgresServer) -> None:
    url = server.create("granted")
    postgres_store(url).close()
    server.ask(
        "granted",
        "CREATE ROLE payer LOGIN; GRANT USAGE ON SCHEMA localpayment_proxy TO payer;"
        " GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA localpayment_proxy TO payer",
    )
    store = postgres_store(url.replace("postgres:", "payer:"))
    begun(store, intent("p-1"))
    store.alive("one", NOW)
    assert [entry.state for entry in store.entries(EVERYTHING)] == [State.OPEN]
    store.close()


@needs_postgres
def test_a_ledger_that_cannot_be_read_just_now_is_not_called_damaged(server: PostgresServer) -> None:
    url = server.create("busy")
    store, other = PostgresStore(Secret(url), timeout=0.1), postgres_store(url)
    store.open()
    with other.transaction():
        other.execute_each("LOCK TABLE entry", [()])
        other.execute("SELECT 1")  # which has what was sent before carried out
        with pytest.raises(LedgerError, match="QueryCanceled"):
            store.verify()
    assert store.verify() == []
    store.close()
    other.close()


@needs_postgres
def test_commits_are_durable_whatever_the_server_s_own_setting_says(server: PostgresServer) -> None:
    url = server.create("careless")
    server.ask("careless", "ALTER DATABASE careless SET synchronous_commit = off")
    store = postgres_store(url)
    with store.transaction():
        assert store.execute("SHOW synchronous_commit")[0][0] == "on"
    store.close()
