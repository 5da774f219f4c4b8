"""Measures the pieces of a call that does not have to wait, without a socket. Run by `make bench-micro`."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from proxy.config import Origin
from proxy.relay.request.plain_request import Reader
from proxy.relay.response.head import ResponseHeads
from proxy.upstream.connecting.channel import Channel
from proxy.upstream.connecting.tls import tls_context
from proxy.upstream.model import Limits
from proxy.upstream.parser import AnswerParser
from tests.benchmarks.samples import ANSWER_BYTES
from tests.benchmarks.workload import GET, POST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Benchmark = Callable[..., Any]

ORIGIN = Origin("api.localpayment.com", 443, tls=True)
UNTRACED = b"".join(line for line in GET.splitlines(keepends=True) if not line.startswith(b"Traceparent"))


@pytest.mark.parametrize(
    "data",
    [pytest.param(UNTRACED, id="the same fields"), pytest.param(GET, id="and a trace"), pytest.param(POST, id="POST")],
)
def test_an_ordinary_request_is_read(benchmark: Benchmark, data: bytes) -> None:
    assert benchmark(Reader(most_body=1024).read, data) is not None


def test_a_request_for_the_servers_parser_is_told_apart(benchmark: Benchmark) -> None:
    chunked = POST.replace(b"Content-Type", b"Transfer-Encoding: chunked\r\nContent-Type")
    assert benchmark(Reader(most_body=1024).read, chunked) is None


def test_an_ordinary_answers_head_is_written(benchmark: Benchmark) -> None:
    parser = AnswerParser(b"GET", Limits())
    parser.feed(ANSWER_BYTES)
    assert parser.head is not None
    assert benchmark(ResponseHeads(ORIGIN).compose, parser.head, "an-id").endswith(b"\r\n")


def test_a_call_becomes_records_and_records_an_answer(benchmark: Benchmark, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(theirs)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    origin = theirs.wrap_bio(incoming, outgoing, server_side=True)
    channel = Channel(tls_context(tmp_path / "ca.pem"), "localhost")
    records = b""
    for _ in range(2):
        channel.handshake(records)
        incoming.write(channel.outgoing())
        try:
            origin.do_handshake()
        except ssl.SSLWantReadError:
            records = outgoing.read()
    channel.handshake(outgoing.read())

    def timings() -> bytes:
        incoming.write(channel.seal(GET))
        origin.read(len(GET))
        origin.write(ANSWER_BYTES)
        return channel.open(outgoing.read())

    assert benchmark(timings) == ANSWER_BYTES
