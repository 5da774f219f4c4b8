"""What one call's turn on a connection remembers: how far it got, what came, and who is told."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from proxy.http1.framing import MalformedAnswerError
from proxy.upstream.exchange import Turn
from proxy.upstream.model import Exchange, FaultKind, Limits, Progress
from proxy.upstream.parser import AnswerParser

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
CLOSES = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def turn() -> Turn:
    return Turn(AnswerParser(b"GET", Limits()), Exchange(0.0), asyncio.get_running_loop())


def sent(turn: Turn) -> Turn:
    turn.wrote(10, last=True)
    turn.progress = Progress.ALL
    return turn


async def test_what_is_written_is_counted_and_may_have_gone_out(turn: Turn) -> None:
    assert (turn.progress, turn.written, turn.sending) == (Progress.NOTHING, False, True)
    turn.wrote(10, last=False)
    assert (turn.progress, turn.written) == (Progress.SOME, False)
    turn.wrote(5, last=True)
    assert (turn.progress, turn.written, turn.exchange.request_bytes) == (Progress.SOME, True, 15)


async def test_what_comes_is_held_piece_by_piece(turn: Turn) -> None:
    for data in (OK[:10], OK[10:], b"hel", b"lo"):
        turn.feed(data)
    assert (list(turn.pieces), turn.held) == ([b"hel", b"lo"], 5)
    assert turn.exchange.response_bytes == len(OK) + 5
    assert turn.parser.complete


@pytest.mark.parametrize("at", range(1, len(OK) + 6))
async def test_what_comes_behind_an_answer_only_spoils_the_connection_wherever_the_segments_part(
    turn: Turn, at: int
) -> None:
    answer = OK + b"hello, and more"
    sent(turn).feed(answer[:at])
    turn.feed(answer[at:])
    assert b"".join(turn.pieces) == b"hello"
    assert turn.parser.complete
    assert not turn.clean


@pytest.mark.parametrize("second", [OK, b"HTTP/1.0 500 x", b"HTTP", b"H"])
@pytest.mark.parametrize("reused", [False, True])
async def test_of_two_answers_at_once_the_first_is_refused_if_it_may_be_another_calls(
    turn: Turn, second: bytes, *, reused: bool
) -> None:
    turn.exchange.reused = reused
    with pytest.raises(MalformedAnswerError) if reused else contextlib.nullcontext():
        sent(turn).feed(OK + b"hello" + second)
    assert not turn.clean


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
    turn: Turn, answer: bytes, progress: Progress, *, clean: bool
) -> None:
    turn.wrote(10, last=True)
    turn.progress = progress
    turn.feed(answer)
    assert turn.clean == clean


async def test_it_is_sending_until_all_was_sent_or_an_answer_came(turn: Turn) -> None:
    turn.wrote(10, last=False)
    before = turn.sending
    turn.feed(OK)
    assert (before, turn.sending) == (True, False)


async def test_which_time_ran_out_is_told(turn: Turn) -> None:
    limits = Limits(response_timeout=3.0, idle_timeout=7.0)
    turn.wrote(10, last=False)
    told = [turn.overdue(limits)]
    told.append(sent(turn).overdue(limits))
    turn.feed(OK)
    told.append(turn.overdue(limits))
    assert told == [
        "no byte of the request was taken for 7.0 s",
        "no answer within 3.0 s",
        "no byte of the answer for 7.0 s",
    ]


async def test_a_fault_says_how_far_it_got(turn: Turn) -> None:
    sent(turn).exchange.reused = True
    turn.handed_out = True
    fault = turn.cut(FaultKind.TIMEOUT, "late")
    assert (fault.kind, fault.progress, fault.reused) == (FaultKind.TIMEOUT, Progress.ALL, True)
    assert (fault.answer_begun, fault.detail) == (True, "late")
    assert fault.exchange is turn.exchange


async def test_who_watches_is_told_at_once_and_whoever_waits_only_without_him(turn: Turn) -> None:
    told: list[str] = []
    waits = asyncio.create_task(turn.changed())
    await asyncio.sleep(0)
    turn.watcher = lambda: told.append("watcher")
    turn.wake()
    await asyncio.sleep(0)
    assert (told, waits.done()) == (["watcher"], False)
    turn.watcher = None
    turn.wake()
    turn.wake()  # a second time before he has run does no harm
    await waits
    turn.wake()
    assert told == ["watcher"]


async def test_whoever_gives_up_waiting_is_forgotten(turn: Turn) -> None:
    waits = asyncio.create_task(turn.changed())
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.wait((waits,))
    turn.wake()
    again = asyncio.create_task(turn.changed())
    await asyncio.sleep(0)
    turn.wake()
    await again
