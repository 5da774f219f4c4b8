"""What one call's exchange on a connection remembers: how far it got, what came, and who is told."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from proxy.http1.framing import MalformedAnswerError
from proxy.upstream.exchange import Exchange
from proxy.upstream.model import FaultKind, Limits, Progress, Timings
from proxy.upstream.parser import AnswerParser

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CLOSES = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def exchange() -> Exchange:
    return Exchange(AnswerParser(b"GET", Limits()), Timings(0.0), asyncio.get_running_loop())


def sent(exchange: Exchange) -> Exchange:
    exchange.wrote(last=True)
    exchange.progress = Progress.ALL
    return exchange


async def test_what_is_written_may_have_gone_out(exchange: Exchange) -> None:
    assert (exchange.progress, exchange.written, exchange.sending) == (Progress.NOTHING, False, True)
    exchange.wrote(last=False)
    assert (exchange.progress, exchange.written) == (Progress.SOME, False)
    exchange.wrote(last=True)
    assert (exchange.progress, exchange.written) == (Progress.SOME, True)


async def test_what_comes_is_held_piece_by_piece(exchange: Exchange) -> None:
    for data in (OK[:10], OK[10:], b"hel", b"lo"):
        exchange.feed(data)
    assert (list(exchange.pieces), exchange.held) == ([b"hel", b"lo"], 5)
    assert exchange.timings.response_bytes == len(OK) + 5
    assert exchange.parser.complete


@pytest.mark.parametrize("at", range(1, len(OK) + 6))
async def test_what_comes_behind_an_answer_only_spoils_the_connection_wherever_the_segments_part(
    exchange: Exchange, at: int
) -> None:
    answer = OK + b"hello, and more"
    sent(exchange).feed(answer[:at])
    exchange.feed(answer[at:])
    assert b"".join(exchange.pieces) == b"hello"
    assert exchange.parser.complete
    assert not exchange.clean


@pytest.mark.parametrize("second", [OK, b"HTTP/1.0 500 x", b"HTTP", b"H"])
@pytest.mark.parametrize("reused", [False, True])
async def test_of_two_answers_at_once_the_first_is_refused_if_it_may_be_another_calls(
    exchange: Exchange, second: bytes, *, reused: bool
) -> None:
    exchange.timings.reused = reused
    with pytest.raises(MalformedAnswerError) if reused else contextlib.nullcontext():
        sent(exchange).feed(OK + b"hello" + second)
    assert not exchange.clean


@pytest.mark.parametrize(
    ("answer", "progress", "clean"),
    [
        (OK + b"hello", Progress.ALL, True),
        (OK + b"hello", Progress.SOME, False),  # the rest of the request may still go out
        (CLOSES, Progress.ALL, False),
        (b"", Progress.ALL, False),
    ],
)
async def test_a_connection_is_clean_when_both_request_and_answer_are_over(
    exchange: Exchange, answer: bytes, progress: Progress, *, clean: bool
) -> None:
    exchange.wrote(last=True)
    exchange.progress = progress
    exchange.feed(answer)
    assert exchange.clean == clean


async def test_it_is_sending_until_all_was_sent_or_an_answer_came(exchange: Exchange) -> None:
    exchange.wrote(last=False)
    before = exchange.sending
    exchange.feed(OK)
    assert (before, exchange.sending) == (True, False)


async def test_which_time_ran_out_is_told(exchange: Exchange) -> None:
    limits = Limits(response_timeout=3.0, idle_timeout=7.0)
    exchange.wrote(last=False)
    told = [exchange.overdue(limits)]
    told.append(sent(exchange).overdue(limits))
    exchange.feed(OK)
    told.append(exchange.overdue(limits))
    assert told == [
        "no byte of the request was taken for 7.0 s",
        "no answer within 3.0 s",
        "no byte of the answer for 7.0 s",
    ]


async def test_a_fault_says_how_far_it_got(exchange: Exchange) -> None:
    sent(exchange).timings.reused = True
    exchange.handed_out = True
    fault = exchange.cut(FaultKind.TIMEOUT, "late")
    assert (fault.kind, fault.progress, fault.reused) == (FaultKind.TIMEOUT, Progress.ALL, True)
    assert (fault.answer_begun, fault.detail) == (True, "late")
    assert fault.timings is exchange.timings


async def test_who_watches_is_told_at_once_and_whoever_waits_only_without_him(exchange: Exchange) -> None:
    told: list[str] = []
    waits = asyncio.create_task(exchange.changed())
    await asyncio.sleep(0)
    exchange.watcher = lambda: told.append("watcher")
    exchange.wake()
    await asyncio.sleep(0)
    assert (told, waits.done()) == (["watcher"], False)
    exchange.watcher = None
    exchange.wake()
    exchange.wake()  # a second time before he has run does no harm
    await waits
    exchange.wake()
    assert told == ["watcher"]


async def test_whoever_gives_up_waiting_is_forgotten(exchange: Exchange) -> None:
    waits = asyncio.create_task(exchange.changed())
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.wait((waits,))
    exchange.wake()
    again = asyncio.create_task(exchange.changed())
    await asyncio.sleep(0)
    exchange.wake()
    await again
