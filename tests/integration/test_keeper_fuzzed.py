"""Thousands of answers that no one foresaw, and what looks on while they come: the keeper lives, and is ready again."""

from __future__ import annotations

import asyncio
import io
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from proxy.control_plane import SecretRecordingIssuer
from proxy.ops.admin.history import History
from proxy.ops.logs.events import Events
from proxy.ops.logs.log import open_log
from proxy.ops.metrics.metrics import Metrics
from proxy.ops.observers import Observers
from proxy.tokens.issuer import FetchFailedError, FetchResult, http_date, read_body
from proxy.tokens.lifecycle_steps import State
from tests.support.fakes import BOUND, CREDENTIALS, FakeClock, ScriptedEndpoints, settle
from tests.support.fuzzed_tokens import Fuzzer, HastyClock, good, jwt_of, on_the_wire
from tests.support.running_keeper import running
from tests.support.scripted_origin import Wire, origin
from tests.support.token_server import answer, asking, failure, met

if TYPE_CHECKING:
    from collections.abc import Callable

    from proxy.credentials.model import Credentials
    from proxy.secret import Secret
    from proxy.tokens.model import Issued

FETCHES = 3_000  # `make soak` lets a whole sidecar meet 10,000
SERVED = 300  # over real sockets


class FuzzedEndpoints:
    """Token endpoints whose answers are read as the issuer reads them.

    Attributes:
        asked: how often they were.
        most: answers that are fuzzed; those after them are good.
    """

    def __init__(self, clock: FakeClock, most: int, odd: Callable[[], Exception] | None = None) -> None:
        self.asked = 0
        self.most = most
        self._clock = clock
        self._odd = odd
        self._fuzzer = Fuzzer(seed=11)

    async def log_in(self, credentials: Credentials, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the protocol
        del credentials, timeout
        return self._next()

    async def refresh(self, token: Secret, timeout: float) -> Issued:  # noqa: ASYNC109 - part of the protocol
        del token, timeout
        return self._next()

    def _next(self) -> Issued:
        self.asked += 1
        now = self._clock.wall()
        given = good(now, self.asked)
        if self.asked <= self.most:
            if self._odd is not None:
                raise self._odd()
            given = self._fuzzer.answer(now)
        date = http_date(given.date)
        return read_body(given.body, sent_at=self._clock.now(), wall=now, date=date)


def looking_on(clock: FakeClock) -> tuple[Observers, io.StringIO]:
    stream = io.StringIO()
    log = open_log("debug", "json", stream)
    metrics = Metrics("0", "sandbox")
    return Observers(log, metrics, Events(log), History(), audit=None, traces=None, wall=clock.wall), stream


async def test_thousands_of_fuzzed_answers_leave_the_keeper_alive_and_ready() -> None:
    clock = HastyClock()
    observers, stream = looking_on(clock)
    endpoints = FuzzedEndpoints(clock, FETCHES)
    async with running(SecretRecordingIssuer(endpoints, observers.log.known, observers.failed), clock) as stand:
        clock.is_over = lambda: endpoints.asked > FETCHES and stand.keeper.ready
        over = asyncio.create_task(clock.over.wait())
        await asyncio.wait((over, stand.loop), return_when=asyncio.FIRST_COMPLETED)
        assert (stand.keeper.state, stand.loop.done()) == (State.VALID, False)
        for report in stand.reports.fetched:
            observers.reported(report, stand.keeper.state)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    results = {line.get("result") for line in lines}
    assert {"granted", "malformed"} <= results
    assert "internal" not in results
    assert not [line for line in lines if line["event"] in {"observer.failed", "log.line_failed"}]


@pytest.mark.parametrize("kind", [RuntimeError, UnicodeError, RecursionError, MemoryError, KeyError, AssertionError])
async def test_an_exception_that_no_one_foresaw_is_a_failed_fetch_told_by_type_and_place(kind: type[Exception]) -> None:
    clock = FakeClock()
    endpoints = FuzzedEndpoints(clock, 3, lambda: kind("s3cret of the answer"))
    async with running(endpoints, clock) as stand:
        await clock.advance(60.0)
        assert stand.keeper.ready
        assert not stand.loop.done()
    failed = stand.reports.fetched[:3]
    assert [report.result for report in failed] == [FetchResult.INTERNAL] * 3
    assert all(f"{kind.__qualname__} in tests.integration.test_keeper_fuzzed:" in report.reason for report in failed)
    assert "s3cret" not in repr(stand.reports.fetched)


async def test_a_lone_surrogate_beside_a_good_token_is_malformed_and_tried_again() -> None:
    pair = {"access": jwt_of({"exp": 2_000_000_000}), "refresh": "\ud800"}
    error = await failure(answer("200 OK", pair))
    assert (error.result, error.reason) == (FetchResult.MALFORMED, "the refresh token has characters that no token has")


async def test_fuzzed_answers_over_sockets_are_failures_told_in_words_of_ours_or_tokens() -> None:
    clock, fuzzer = FakeClock(), Fuzzer(seed=23)
    results: Counter[FetchResult] = Counter()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(on_the_wire(fuzzer.answer(clock.wall())))

    async with origin(script) as served:
        issuer = asking(served, clock)
        for _ in range(SERVED):
            try:
                await issuer.log_in(CREDENTIALS, BOUND)
            except FetchFailedError as error:
                results[error.result] += 1
            else:
                results[FetchResult.GRANTED] += 1
    assert results.keys() == {FetchResult.GRANTED, FetchResult.MALFORMED}


class FailingKnown:
    """What no observer may do."""

    def keep(self, *secrets: Secret | None) -> None:
        del secrets
        "s3cret \ud800".encode()

    learn = keep


async def test_a_witness_that_fails_costs_no_fetch_and_is_counted_and_told_by_type() -> None:
    clock = FakeClock()
    observers, stream = looking_on(clock)
    witness = SecretRecordingIssuer(ScriptedEndpoints(clock), FailingKnown(), observers.failed)  # type: ignore[arg-type]  # fails on purpose
    async with running(witness, clock) as stand:
        await settle()
        assert stand.keeper.ready
    (line,) = (json.loads(text) for text in stream.getvalue().splitlines()[:1])
    assert (line["event"], line["observer"], line["exception"]) == ("observer.failed", "witness", "UnicodeEncodeError")
    assert observers.metrics.observer_failures.labels("witness").value == 2
    assert "s3cret" not in stream.getvalue()


async def test_a_head_of_40_kib_or_of_140_fields_is_no_reason_to_be_without_a_token() -> None:
    pair = json.loads(good(1_735_732_800.0, 1).body)
    assert (await met(answer("200 OK", pair, f"X-Long: {'x' * 40_000}"))).access_lifetime == 300.0
    assert (await met(answer("200 OK", pair, *(f"X-{number}: y" for number in range(140))))).access_lifetime == 300.0


async def test_a_head_that_the_relay_would_refuse_is_refused_here_too() -> None:
    pair = json.loads(good(1_735_732_800.0, 1).body)
    for fields in ([f"X-{number}: y" for number in range(300)], [f"X-{n}: {'x' * 30_000}" for n in range(3)]):
        assert (await failure(answer("200 OK", pair, *fields))).result is FetchResult.MALFORMED
