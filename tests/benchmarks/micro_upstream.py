"""Times writing a request and reading an answer, without the socket. Run by `make bench-micro`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.upstream.model import Limits, OutgoingRequest
from proxy.upstream.parser import AnswerParser
from proxy.upstream.request import request_head
from tests.benchmarks.samples import ANSWER_BYTES, AUTHORIZATION, BALANCE, REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable

    Benchmark = Callable[..., Any]

LIMITS = Limits()
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"12c\r\n" + b"x" * 300 + b"\r\n") * 4 + b"0\r\n\r\n"
)
FIELDS = [field for field in REQUEST if field[0] not in (b"Host", b"Connection", b"Content-Length")]


def test_a_request_head_is_written(benchmark: Benchmark) -> None:
    call = OutgoingRequest(b"GET", BALANCE, [*FIELDS, (b"Authorization", AUTHORIZATION)], None, effects=False)
    assert benchmark(request_head, call, b"api.example.com").endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "segments",
    [
        pytest.param([ANSWER_BYTES], id="at once"),
        pytest.param([ANSWER_BYTES[:-300], ANSWER_BYTES[-300:]], id="head and body"),
        pytest.param([CHUNKED], id="chunked"),
        pytest.param([ANSWER_BYTES[at : at + 16] for at in range(0, len(ANSWER_BYTES), 16)], id="in shreds"),
    ],
)
def test_an_answer_is_read(benchmark: Benchmark, segments: list[bytes]) -> None:
    def read() -> AnswerParser:
        parser = AnswerParser(b"GET", LIMITS)
        for segment in segments:
            parser.feed(segment)
        return parser

    parser = benchmark(read)
    assert parser.complete
    assert not parser.excess


def test_a_mebibyte_is_read(benchmark: Benchmark) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (16 * 65536)
    piece = b"x" * 65536

    def read() -> bool:
        parser = AnswerParser(b"GET", LIMITS)
        parser.feed(head)
        for _ in range(16):
            parser.feed(piece)
        return parser.complete

    assert benchmark(read)
