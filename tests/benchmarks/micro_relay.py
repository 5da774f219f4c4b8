"""Times each pure piece of one request's path. Run by `make bench-micro`."""

from __future__ import annotations

import hashlib
import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from proxy.api.operations import OPERATIONS
from proxy.api.target import read_target
from proxy.errors import BadTargetError
from proxy.policy.authorizer import Authorizer
from proxy.policy.grants import allowed_by
from proxy.policy.identity import KEY_HEADER, Identity, Peer
from proxy.policy.rate_limit import Rate
from proxy.policy.rules import DEFAULT, Caller, Policy, Verdict
from proxy.relay.request.admission import Entrance
from proxy.relay.request.framing import HTTP_1_1, Framing, request_framing
from proxy.relay.request.headers import request_lines
from proxy.relay.request.request_fields import read_fields
from proxy.relay.request.trace_context import RANDOM_BITS, trace_id, uuid7
from proxy.relay.response.fields import headers_to_caller
from tests.benchmarks.samples import ANSWER, AUTHORIZATION, BALANCE, CARD, REFUND, REQUEST, REQUEST_ID
from tests.support.sidecars import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    Benchmark = Callable[..., Any]

TOLD = read_fields(REQUEST).told


@pytest.mark.parametrize(
    ("raw", "method", "operation"),
    [
        pytest.param(b"/api/payin", "POST", "create_payin", id="literal"),
        pytest.param(BALANCE, "GET", "get_balance", id="with a parameter"),
        pytest.param(REFUND, "PATCH", "refund_payin", id="with an id"),
        pytest.param(CARD, "PATCH", "refund_payin", id="percent-encoded"),
        pytest.param(b"/api/unheard/of", "GET", "other", id="unknown"),
    ],
)
def test_a_target_is_read(benchmark: Benchmark, raw: bytes, method: str, operation: str) -> None:
    assert benchmark(read_target, raw, method).operation.name == operation


def test_a_target_of_two_readings_is_refused(benchmark: Benchmark) -> None:
    def refused() -> bool:
        try:
            read_target(b"/api/accounts/../token/", "GET")
        except BadTargetError:
            return True
        return False

    assert benchmark(refused)


def test_a_request_is_admitted(benchmark: Benchmark) -> None:
    assert benchmark(Entrance(DEFAULTS).admit, "GET", b"/", TOLD, True) == b"/"


def test_a_request_is_framed(benchmark: Benchmark) -> None:
    assert benchmark(request_framing, HTTP_1_1, TOLD) == Framing(71, waits=False)


def test_headers_cross_to_localpayment(benchmark: Benchmark) -> None:
    fields = benchmark(read_fields, REQUEST)
    assert AUTHORIZATION in request_lines(fields.lines, REQUEST_ID, None, AUTHORIZATION)


def test_headers_cross_to_the_caller(benchmark: Benchmark) -> None:
    assert benchmark(headers_to_caller, ANSWER)


def test_a_request_id_is_made(benchmark: Benchmark) -> None:
    chance = random.Random(1)  # noqa: S311 - the same ids each time
    assert len(benchmark(lambda: uuid7(1_800_000_000_000, chance.getrandbits(RANDOM_BITS)))) == len(REQUEST_ID)


def test_a_trace_id_is_read(benchmark: Benchmark) -> None:
    assert benchmark(trace_id, TOLD) == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_the_policy_decides(benchmark: Benchmark) -> None:
    peer, operation = Peer(), OPERATIONS[0]

    def decided() -> Verdict:
        return DEFAULT.decide(DEFAULT.caller(peer), operation).verdict

    assert benchmark(decided) is Verdict.ALLOWED


@pytest.mark.parametrize(
    ("peer", "key"), [pytest.param(Peer(uid=5), None, id="by uid"), pytest.param(Peer(), 5, id="by key")]
)
def test_a_caller_is_recognised_and_its_call_judged(benchmark: Benchmark, peer: Peer, key: int | None) -> None:
    """With ten callers and ten keys; the aim is 3 µs (docs/adr/0008)."""
    keys = [f"an-invented-key-of-43-characters-for-tests{number}".encode() for number in range(10)]
    callers = [
        Caller(
            f"job-{number}",
            Identity(keys=(hashlib.sha256(text).digest(),), uids=frozenset({number})),
            allowed_by(("collect", "payout")),
            rate=Rate(1e9, 1_000_000),
        )
        for number, text in enumerate(keys)
    ]
    fields = [(f"X-Field-{number}".encode(), b"value") for number in range(14)]
    if key is not None:
        fields.append((b"X-Proxy-Key", keys[key]))
    held = read_fields(fields).told.get(KEY_HEADER, ())
    authority = Authorizer(time.monotonic, Policy(callers))
    pay = next(operation for operation in OPERATIONS if operation.name == "create_payout")
    decision, reported = benchmark(lambda: authority.admit(authority.policy.caller(peer, held), pay))
    assert (decision.verdict, reported) == (Verdict.ALLOWED, "")
