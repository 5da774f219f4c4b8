"""Answers as a valid server may send them, parted in any way: strategies of hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

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
