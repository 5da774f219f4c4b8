"""However the network parts an answer, it is the same answer; whatever comes, nothing worse than a refusal happens."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.framing import Head, MalformedAnswerError
from proxy.upstream.model import Limits
from proxy.upstream.parser import AnswerParser
from tests.support.answer_segments import BODY, Sent, answers, segments


@given(st.data())
def test_any_split_of_an_answer_gives_the_same_answer(data: st.DataObject) -> None:
    sent = data.draw(answers())
    parser = AnswerParser(sent.method, Limits())
    body = b"".join(piece for segment in data.draw(st.composite(segments)(sent.wire)) for piece in parser.feed(segment))
    if sent.until_close:
        assert not parser.complete
        parser.feed_eof()
    assert parser.head is not None
    assert (parser.head.status, parser.head.headers) == (sent.status, sent.headers)
    assert (body, parser.trailers, parser.complete, bool(parser.excess)) == (sent.body, sent.trailers, True, False)


MORE = st.one_of(
    st.binary(min_size=1, max_size=5),
    st.sampled_from((b"\r\n", b"0\r\n\r\n", b"\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nhi")),
    answers().map(lambda sent: sent.wire),
    BODY.filter(bool),
)


@given(sent=answers(), more=MORE, each=st.booleans(), data=st.data())
def test_bytes_after_an_answer_are_always_noticed_and_never_change_it(
    sent: Sent, more: bytes, *, each: bool, data: st.DataObject
) -> None:
    if sent.until_close:
        return
    wire = sent.wire + more
    parser = AnswerParser(sent.method, Limits())
    parts = [bytes((byte,)) for byte in wire] if each else data.draw(st.composite(segments)(wire))
    body = b"".join(piece for part in parts for piece in parser.feed(part))
    assert parser.head is not None
    assert (parser.head.status, parser.head.headers) == (sent.status, sent.headers)
    assert (body, parser.trailers, parser.complete, bool(parser.excess)) == (sent.body, sent.trailers, True, True)


@given(answers(), st.data())
def test_an_answer_that_lacks_bytes_is_never_complete(sent: Sent, data: st.DataObject) -> None:
    if sent.until_close:
        return
    parser = AnswerParser(sent.method, Limits())
    parser.feed(sent.wire[: data.draw(st.integers(0, len(sent.wire) - 1))])
    parser.feed_eof()
    assert not parser.complete


def outcome(wire: list[bytes]) -> tuple[Head | None, bytes, bool, bool] | None:
    parser = AnswerParser(b"GET", Limits())
    try:
        body = b"".join(piece for segment in wire for piece in parser.feed(segment))
    except MalformedAnswerError:
        return None
    return parser.head, body, parser.complete, bool(parser.excess)


@given(answers(), st.binary(max_size=4), st.data())
def test_a_damaged_answer_is_judged_alike_however_it_is_parted(sent: Sent, damage: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sent.wire)))
    end = data.draw(st.integers(at, min(len(sent.wire), at + 4)))
    wire = sent.wire[:at] + damage + sent.wire[end:]
    assert outcome([wire]) == outcome(data.draw(st.composite(segments)(wire)))


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_arbitrary_bytes_are_an_answer_or_a_refusal_and_nothing_else(wire: list[bytes]) -> None:
    parser = AnswerParser(b"GET", Limits())
    with contextlib.suppress(MalformedAnswerError):
        for segment in wire:
            parser.feed(segment)
    parser.feed_eof()
