"""Connections that linger after their last answer: the oldest make room, and each has its first moments."""

from __future__ import annotations

from proxy.relay.server.lingering import GRACE, MOST_LINGERING, LingeringCloses


class Connection:
    was_cut = False

    def cut(self) -> None:
        self.was_cut = True


class Clock:
    now = 100.0


def filled(clock: Clock, count: int) -> tuple[LingeringCloses, list[Connection]]:
    """Connections that began to linger at the same moment."""
    closes = LingeringCloses(lambda: clock.now)
    connections = [Connection() for _ in range(count)]
    for connection in connections:
        closes.add(connection)
    return closes, connections


def test_none_is_cut_within_its_first_moments_however_many_there_are() -> None:
    clock = Clock()
    closes, connections = filled(clock, 3 * MOST_LINGERING)
    clock.now += GRACE * 0.99
    assert not closes.cut_oldest()
    closes.add(Connection())
    assert not any(connection.was_cut for connection in connections)
    assert len(closes) == 3 * MOST_LINGERING + 1


def test_of_too_many_the_oldest_are_cut_once_they_have_had_their_moments() -> None:
    clock = Clock()
    closes, connections = filled(clock, MOST_LINGERING + 1)
    clock.now += GRACE
    newest = Connection()
    closes.add(newest)
    assert [connection.was_cut for connection in connections] == [True, True] + [False] * (MOST_LINGERING - 1)
    assert not newest.was_cut
    assert len(closes) == MOST_LINGERING


def test_the_oldest_is_cut_when_its_place_is_asked_for_and_one_that_has_ended_is_forgotten() -> None:
    clock = Clock()
    closes, (first, second) = filled(clock, 2)
    clock.now += GRACE
    closes.discard(first)
    assert closes.cut_oldest()
    assert (first.was_cut, second.was_cut) == (False, True)
    assert not closes.cut_oldest()
