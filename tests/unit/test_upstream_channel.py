"""Bytes become TLS records and records bytes, however the network parts them; what was changed is never given out."""

from __future__ import annotations

import itertools
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.connecting.channel import Channel
from tests.support.tls_server import VERSIONS, Server, server_context
from tests.support.upstream_pool import client_tls

versions = pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
VERSION = st.sampled_from(list(VERSIONS.values()))


def agreed(version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, tickets: int = 2) -> tuple[Channel, Server, bytes]:
    """A channel and its other end; and what the server sent beyond the handshake."""
    channel, server = Channel(client_tls(), "localhost"), Server(server_context(version, tickets))
    done, records = False, b""
    for _ in range(10):
        done = done or channel.handshake(records)
        records = server.shake(channel.outgoing())
        if done and server.done:
            return channel, server, records
    message = "they did not agree"
    raise AssertionError(message)


def opened(channel: Channel, records: bytes, cuts: list[int]) -> bytes:
    places = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    return b"".join(channel.open(records[a:b]) for a, b in itertools.pairwise(places))


@versions
def test_what_is_sealed_here_is_opened_there(version: ssl.TLSVersion) -> None:
    channel, server, _ = agreed(version)
    for data in (b"x", b"GET / HTTP/1.1\r\n\r\n", b"y" * 100_000):
        assert server.open(channel.seal(data)) == data


@given(VERSION, st.lists(st.integers(1, 40_000), max_size=4), st.lists(st.integers(0, 90_000)))
def test_records_in_any_split_give_the_same_bytes(version: ssl.TLSVersion, sizes: list[int], cuts: list[int]) -> None:
    channel, server, tickets = agreed(version)
    sent = [bytes(at % 251 for at in range(size)) for size in sizes]
    records = tickets + b"".join(map(server.seal, sent))
    assert opened(channel, records, cuts) == b"".join(sent)
    assert not channel.ended


@versions
def test_records_byte_by_byte_give_the_same_bytes(version: ssl.TLSVersion) -> None:
    channel, server, tickets = agreed(version)
    records = tickets + server.seal(b"first") + server.seal(b"second") + server.farewell()
    assert opened(channel, records, list(range(len(records)))) == b"firstsecond"
    assert channel.ended


@given(VERSION, st.lists(st.integers(1, 40_000), max_size=4), st.lists(st.integers(0, 90_000), max_size=8))
def test_whether_a_part_of_a_record_has_come_is_known(
    version: ssl.TLSVersion, sizes: list[int], cuts: list[int]
) -> None:
    channel, server, tickets = agreed(version)
    records, ends = b"", set[int]()
    for sealed in (tickets, *(server.seal(bytes(size)) for size in sizes)):
        records += sealed
    at = 0
    while at < len(records):
        at += 5 + int.from_bytes(records[at + 3 : at + 5])
        ends.add(at)
    places = [0, *sorted(min(cut, len(records)) for cut in cuts), len(records)]
    for begin, end in itertools.pairwise(places):
        channel.open(records[begin:end])
        assert channel.midway == (end not in ends | {0})


@versions
@pytest.mark.parametrize("size", [1, 3, 5, 6, 20])
def test_a_part_of_a_record_is_noticed_though_nothing_of_it_can_be_read(version: ssl.TLSVersion, size: int) -> None:
    channel, server, tickets = agreed(version)
    told = [channel.midway]
    whole, stray = server.seal(b"answer"), server.seal(b"nobody asked")
    assert channel.open(tickets + whole + stray[:size]) == b"answer"
    told.append(channel.midway)
    assert channel.open(stray[size:]) == b"nobody asked"
    told.append(channel.midway)
    assert told == [False, True, False]


@versions
def test_a_long_piece_in_many_records_is_opened_at_once(version: ssl.TLSVersion) -> None:
    channel, server, tickets = agreed(version)
    data = bytes(range(256)) * 1024
    assert channel.open(tickets + server.seal(data)) == data


def test_session_tickets_are_no_bytes() -> None:
    channel, _, tickets = agreed(tickets=4)
    assert tickets
    assert channel.open(tickets) == b""
    assert not channel.ended


def test_nothing_is_made_of_nothing() -> None:
    channel, _, _ = agreed()
    assert channel.open(b"") == b""
    assert not channel.ended
    assert channel.outgoing() == b""


@versions
def test_a_farewell_is_told_and_the_bytes_before_it_are_not_lost(version: ssl.TLSVersion) -> None:
    channel, server, tickets = agreed(version)
    assert channel.open(tickets + server.seal(b"the last") + server.farewell()) == b"the last"
    assert channel.ended
    assert channel.open(b"") == b""


@versions
def test_after_a_farewell_nothing_more_is_given_out(version: ssl.TLSVersion) -> None:
    channel, server, tickets = agreed(version)
    assert channel.open(tickets + server.seal(b"last") + server.farewell() + b"more, in clear") == b"last"
    assert channel.open(b"and more") == b""
    assert channel.ended


@given(VERSION, st.data())
def test_a_record_that_was_changed_anywhere_is_never_given_out(version: ssl.TLSVersion, data: st.DataObject) -> None:
    channel, server, tickets = agreed(version)
    channel.open(tickets)
    records = bytearray(server.seal(b"amount: 100"))
    at = data.draw(st.integers(0, len(records) - 1))
    records[at] ^= data.draw(st.integers(1, 255))
    given_out = channel.open(bytes(records))
    given_out += channel.open(server.seal(b"amount: 200"))  # if it only waits for the rest of what it took it for
    assert given_out == b""
    assert channel.broken or channel.midway


@versions
def test_what_was_whole_before_a_broken_record_is_given_out_and_nothing_after_it(version: ssl.TLSVersion) -> None:
    channel, server, tickets = agreed(version)
    one, two = server.seal(b"one"), server.seal(b"two")
    assert channel.open(tickets + one + one + two) == b"one"
    assert channel.broken
    assert channel.open(two) == b""


@versions
@pytest.mark.parametrize("how", ["twice", "left out", "swapped"])
def test_records_that_were_repeated_left_out_or_swapped_are_never_given_out(version: ssl.TLSVersion, how: str) -> None:
    channel, server, tickets = agreed(version)
    channel.open(tickets)
    one, two, three = (server.seal(data) for data in (b"1", b"2", b"3"))
    assert channel.open(one) == b"1"
    assert channel.open({"twice": one, "left out": three, "swapped": three + two}[how]) == b""
    assert channel.broken


@versions
def test_what_is_no_tls_is_refused(version: ssl.TLSVersion) -> None:
    channel, _, tickets = agreed(version)
    channel.open(tickets)
    assert channel.open(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == b""
    assert channel.broken


@versions
def test_a_handshake_in_single_bytes_is_a_handshake(version: ssl.TLSVersion) -> None:
    channel, server = Channel(client_tls(), "localhost"), Server(server_context(version))
    assert not channel.handshake(b"")
    done = False
    for _ in range(4):
        for byte in server.shake(channel.outgoing()):
            done = done or channel.handshake(bytes((byte,)))
    assert done
    assert server.done


def test_a_certificate_for_another_name_is_refused() -> None:
    channel, server = Channel(client_tls(), "other.test"), Server(server_context(ssl.TLSVersion.TLSv1_3))
    channel.handshake(b"")
    with pytest.raises(ssl.SSLCertVerificationError):
        channel.handshake(server.shake(channel.outgoing()))
    assert channel.outgoing()  # the alert that says so
