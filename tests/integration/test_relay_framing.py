"""What reaches Localpayment of requests that could be read in two ways: nothing, or exactly one request."""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.origins import Answered, Localpayment, calling, greeting, localpayment
from tests.support.sidecars import Running, settings_for, sidecar
from tests.support.wire_requests import FORWARDED, REFUSED, SECRET, get

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = (200, "")
BEFORE = get(b"/api/before")


@contextlib.asynccontextmanager
async def relaying() -> AsyncIterator[tuple[Running, Localpayment]]:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url, idle_timeout=2.0)) as relay:
        yield relay, there


async def answered(relay: Running, *segments: bytes) -> Answered:
    """Send the segments one by one, and read one answer."""
    async with calling(relay) as caller:
        for segment in segments:
            await caller.send(segment)
            await asyncio.sleep(0)
        return await caller.one()


def told(answer: Answered) -> tuple[int, str]:
    return (answer.status, "" if answer.status == 200 else str(answer.problem["code"]))


def as_seen(there: Localpayment) -> bytes:
    """What came, with the port and the token taken out."""
    hosted = re.sub(rb"Host: localhost:\d+\r\n", b"Host: upstream\r\n", there.calls)
    return re.sub(rb"Bearer [\w.-]+\r\n", b"Bearer ...\r\n", hosted)


@pytest.mark.parametrize("name", REFUSED)
async def test_a_request_with_more_than_one_reading_is_refused_and_nothing_is_sent(name: str) -> None:
    sent, expected = REFUSED[name]
    async with relaying() as (relay, there):
        answer = await answered(relay, sent)
        assert told(answer) == expected
        assert answer.problem["outcome"] == "rejected"
        assert there.calls == b""
        assert relay.value("requests_total", operation="other", method="GET", status="200", outcome="answered") == 0
        assert SECRET not in answer.raw
        assert SECRET.decode() not in relay.text_of_log
        (line,) = relay.calls
        assert (line["status"], line["code"], line["outcome"], line["attempts"]) == (*expected, "rejected", 0)
        assert relay.lines("request.failed") == []


@pytest.mark.parametrize("name", FORWARDED)
async def test_a_request_with_one_reading_arrives_as_exactly_that(name: str) -> None:
    sent, expected = FORWARDED[name]
    async with relaying() as (relay, there):
        answer = await answered(relay, sent)
        assert (told(answer), answer.body) == (OK, b"hello")
        assert as_seen(there) == expected
        assert SECRET.decode() not in relay.text_of_log


@pytest.mark.parametrize("name", ["both framings", "a coding besides chunked", "CONNECT", "a WebSocket", "HTTP/2.0"])
async def test_nothing_is_read_after_a_request_whose_end_is_in_doubt(name: str) -> None:
    async with relaying() as (relay, there), calling(relay) as caller:
        await caller.send(REFUSED[name][0] + BEFORE)
        answer = await caller.rest()
        assert answer.raw.count(b"HTTP/1.1 4") == 1
        assert answer.headers["connection"] == "close"
        assert there.calls == b""


@pytest.mark.parametrize("name", ["a folded field", "NUL in a value", "a target too long"])
async def test_a_connection_that_was_good_before_ends_with_the_first_request_that_is_not(name: str) -> None:
    async with relaying() as (relay, there), calling(relay) as caller:
        await caller.send(BEFORE)
        assert (await caller.one()).status == 200
        await caller.send(REFUSED[name][0] + BEFORE)
        assert told(await caller.rest()) == REFUSED[name][1]
        assert there.calls.count(b"GET ") == 1


def parted(draw: st.DrawFn, sent: bytes) -> list[bytes]:
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=6)))
    return [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[bytes], tuple[int, str], bytes]:
    refused, forwarded = sorted(REFUSED), sorted(FORWARDED)
    name = draw(st.sampled_from([*refused, *forwarded]))
    sent, expected, arrives = (*REFUSED[name], b"") if name in REFUSED else (FORWARDED[name][0], OK, FORWARDED[name][1])
    return parted(draw, sent), expected, arrives


@settings(max_examples=150)
@given(cases())
def test_however_the_network_parts_a_request_it_is_judged_alike(
    case: tuple[list[bytes], tuple[int, str], bytes],
) -> None:
    segments, expected, arrives = case

    async def scenario() -> None:
        async with relaying() as (relay, there):
            assert told(await answered(relay, *segments)) == expected
            assert as_seen(there) == arrives

    asyncio.run(scenario())
