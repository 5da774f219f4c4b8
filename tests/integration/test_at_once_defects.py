"""A defect of ours is told its caller honestly, and leaves nothing behind but a line without text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from proxy.relay import attempts as sending
from proxy.relay import ending
from proxy.relay.response.head import ResponseHeads
from proxy.upstream.connection import Connection
from tests.support.fakes import settle
from tests.support.origins import Answered, greeting, until
from tests.support.sent_at_once import ORDER, PAY, READ, Holding, ask, at_rest, in_front_of, relay_of, wait_always

if TYPE_CHECKING:
    from tests.support.scripted_origin import Wire
    from tests.support.sidecars import Running

CANARY = "canary-8d1e"


def fails(*_: object, **__: object) -> Any:
    raise LookupError(CANARY)


def failed_once(relay: Running) -> bool:
    """Whether one defect was logged, by its type and place and not by its text."""
    (line,) = relay.lines("request.failed")
    return line["exception"] == "LookupError" and "test_at_once_defects:" in line["where"]


@pytest.mark.parametrize("where", ["admit", "look_into_body"])
async def test_before_a_byte_was_sent_the_call_is_refused_and_nothing_goes_out(where: str) -> None:
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        setattr(relay_of(relay).judge, where, fails)
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).problem["code"] == "internal_error"
        await until(lambda: at_rest(relay))
        assert failed_once(relay)
        assert CANARY not in relay.text_of_log
        assert (at_once.taken, there.calls) == ([], b"")
        assert relay.sidecar.pool.stats().idle == 1


async def test_in_composing_a_call_gives_its_connection_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with in_front_of(greeting) as (there, relay, _at_once, caller):
        monkeypatch.setattr(sending, "compose", fails)
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).problem["code"] == "internal_error"
        await until(lambda: at_rest(relay))
        assert (there.calls, relay.sidecar.pool.stats().idle) == (b"", 1)


async def test_in_reading_a_request_the_servers_parser_reads_it() -> None:
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        relay_of(relay).reader.read = fails  # type: ignore[method-assign]  # a defect
        await caller.send(ask("POST", PAY, body=ORDER))
        assert (await caller.one()).body == b"hello"
        await until(lambda: at_rest(relay))
        assert failed_once(relay)
        assert (at_once.taken, there.calls.count(b"POST ")) == ([], 1)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_in_composing_an_answer_its_outcome_is_unknown_to_the_caller(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        monkeypatch.setattr(ResponseHeads, "compose", fails)
        await caller.send(ask(method, READ if method == "GET" else PAY, body=None if method == "GET" else ORDER))
        assert (await caller.one()).problem["outcome"] == "unknown"
        await until(lambda: at_rest(relay))
        assert CANARY not in relay.text_of_log
        assert len(at_once.handed_over) == 1
        assert there.calls.count(b"HTTP/1.1\r\n") == 1
        assert relay.sidecar.pool.stats().idle == 1


async def test_after_it_the_connection_carries_on() -> None:
    held = Holding()
    async with in_front_of(held) as (there, relay, at_once, caller):
        judge = relay_of(relay).judge
        admit = judge.admit
        judge.admit = fails  # type: ignore[method-assign]  # a defect
        held.go.set()
        await caller.send(ask("GET", READ))
        assert (await caller.one()).status == 500
        judge.admit = admit  # type: ignore[method-assign]  # mended
        await settle()
        await caller.send(ask("GET", READ))
        assert (await caller.one()).status == 200
        assert (len(at_once.taken), there.calls.count(b"GET ")) == (1, 1)


async def test_in_writing_nothing_is_said_to_be_unsent(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed to the connection may have gone out: its outcome is unknown, and it is not sent again."""
    async with in_front_of(greeting) as (there, relay, at_once, caller):
        write = Connection.write

        def breaks(self: Connection, *args: Any, **options: Any) -> None:
            write(self, *args, **options)
            fails()

        monkeypatch.setattr(Connection, "write", breaks)
        await caller.send(ask("POST", PAY, body=ORDER))
        answer = await caller.one()
        assert (answer.status, answer.problem["outcome"]) == (502, "unknown")
        await until(lambda: at_rest(relay))
        assert failed_once(relay)
        assert CANARY not in relay.text_of_log
        assert there.calls.count(b"POST ") == 1
        assert len(at_once.taken) == 1


async def cutting(wire: Wire) -> None:
    await wire.request()
    wire.cut()


@pytest.mark.parametrize("waits", [False, True])
async def test_in_naming_the_read_that_settles_it_the_outcome_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch, *, waits: bool
) -> None:
    async with in_front_of(cutting) as (there, relay, _at_once, caller):
        monkeypatch.setattr(ending, "check_path_of", fails)
        if waits:
            wait_always(relay)
        await caller.send(ask("POST", PAY, body=ORDER))
        answer = await caller.one()
        assert (answer.status, answer.problem["outcome"]) == (500, "unknown")
        await until(lambda: at_rest(relay))
        (line,) = relay.calls
        assert (line["outcome"], line["code"]) == ("unknown", "internal_error")
        assert failed_once(relay)
        assert CANARY not in relay.text_of_log
        assert there.calls.count(b"POST ") == 1


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("target", "outcome"), [(PAY, "unknown"), ("/api/token/", "not_sent")])
async def test_in_every_answer_of_our_own_the_caller_is_reset_and_the_call_is_over(
    monkeypatch: pytest.MonkeyPatch, target: str, outcome: str, *, waits: bool
) -> None:
    async with in_front_of(cutting) as (_there, relay, _at_once, caller):
        monkeypatch.setattr(ending, "own_answer", fails)
        if waits:
            wait_always(relay)
        await caller.send(ask("POST", target, body=ORDER))
        assert await caller.rest() == Answered(b"", reset=True)
        await until(lambda: at_rest(relay) and not relay.begun)
        (line,) = relay.calls
        assert (line["outcome"], line["status"]) == (outcome, 0)
        assert CANARY not in relay.text_of_log
