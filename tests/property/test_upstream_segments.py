"""However the network parts an answer, it is the same answer; whatever comes, nothing worse than a refusal happens."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from proxy.http1.framing import Head, MalformedAnswerError
from proxy.upstream.model import Limits
from proxy.upstream.parser import AnswerParser

TOKEN = st.text("abcXYZ019-_.", min_size=1, max_size=12).map(str.encode)
NAME = TOKEN.map(lambda name: b"X-" + name)
VALUE = st.text('abc XYZ\t:;,"/é', max_size=30).map(lambda value: value.encode("latin-1").strip(b" \t"))
FIELDS = st.lists(st.tuples(NAME, VALUE), max_size=6)
BODY = st.binary(max_size=300)


@dataclass(frozen=True)
class Sent:
    wire: bytes
    method: bytes
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    trailers: list[tuple[bytes, bytes]]
    until_close: bool = False


def lines(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in fields)


@st.composite
def answers(draw: st.DrawFn) -> Sent:
    interim = b"".join(
        draw(
            st.lists(st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 x\r\nA: b\r\n\r\n"]), max_size=3)
        )
    )
    status = draw(st.sampled_from([200, 201, 301, 400, 401, 404, 500, 503]))
    fields, body = draw(FIELDS), draw(BODY)
    trailers: list[tuple[bytes, bytes]] = []
    match framing := draw(st.sampled_from(["length", "chunks", "close", "head", "none"])):
        case "length":
            fields, payload = [*fields, (b"Content-Length", b"%d" % len(body))], body
        case "chunks":
            sizes = draw(st.lists(st.integers(1, 50), max_size=8))
            extension = draw(st.sampled_from([b"", b";a", b';a="b c"']))
            trailers = draw(FIELDS)
            payload, left = b"", body
            for size in [*sizes, len(body)]:
                piece, left = left[:size], left[size:]
                payload += b"%x%b\r\n%b\r\n" % (len(piece), extension, piece) if piece else b""
            payload += b"0\r\n" + lines(trailers) + b"\r\n"
            fields = [*fields, (b"Transfer-Encoding", b"chunked")]
        case "close":
            payload = body
        case "head":
            fields, payload, body = [*fields, (b"Content-Length", b"%d" % len(body))], b"", b""
        case _:
            status, payload, body = draw(st.sampled_from([204, 304])), b"", b""
            declared = [[], [(b"Content-Length", b"20")], [(b"Transfer-Encoding", b"chunked")]]
            fields = [*fields, *draw(st.sampled_from(declared))]
    wire = interim + b"HTTP/1.1 %d Reason\r\n" % status + lines(fields) + b"\r\n" + payload
    return Sent(wire, b"HEAD" if framing == "head" else b"GET", status, fields, body, trailers, framing == "close")


def segments(draw: st.DrawFn, wire: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(wire)), max_size=12)))
    return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]


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
