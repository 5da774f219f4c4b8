"""What spans say of a call comes from closed sets and the settings, whatever became of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.api.operations import OPERATIONS
from proxy.config import Origin, TcpAddress, UnixAddress
from proxy.errors import Outcome
from proxy.ops.metrics.metrics import codes
from proxy.ops.tracing.spans import Role, Span, SpanEndpoints, span_endpoints, spans
from proxy.relay.record import METHODS, Record, Resend
from proxy.relay.request.trace_context import Attempt, Lineage
from tests.support.sidecars import DEFAULTS

CANARY = "canary-4c1b"
ENDS = SpanEndpoints(
    {"url.scheme": "http"}, {"url.scheme": "https", "server.address": "api.example", "server.port": 443}
)
WALL = 1_800_000_000.0


def never(_: int = 0) -> Any:
    raise AssertionError


def call(attempts: int = 1, **changes: Any) -> Record:
    """A call of two seconds, whose attempts took a quarter of a second each."""
    place = Lineage("a" * 32, "b" * 16, "c" * 16, 1, never, never)
    place.attempts = [Attempt(f"{n:016x}", 100.5 + n / 2, 100.75 + n / 2) for n in range(attempts)]
    facts: dict[str, Any] = {
        "request_id": CANARY,
        "method": "POST",
        "started": 100.0,
        "trace_id": "a" * 32,
        "caller": CANARY,
        "operation": "create_payout",
        "subject": CANARY,
        "total_seconds": 2.0,
        "attempts": attempts,
        "lineage": place,
    }
    return Record(**{**facts, **changes})


def told(record: Record) -> tuple[Span, list[Span]]:
    server, *clients = spans(record, WALL, ENDS)
    return server, clients


def test_times_are_those_of_the_call_on_the_wall_clock() -> None:
    server, (client,) = told(call(status=200, outcome=Outcome.ANSWERED))
    assert (server.started, server.ended) == (1_799_999_998_000_000_000, 1_800_000_000_000_000_000)
    assert (client.started, client.ended) == (1_799_999_998_500_000_000, 1_799_999_998_750_000_000)


def test_an_attempt_that_nobody_saw_end_ended_with_its_call() -> None:
    record = call(status=0, outcome=Outcome.ABORTED)
    assert record.lineage is not None
    record.lineage.attempts[0].ended = None
    server, (client,) = told(record)
    assert client.ended == server.ended


def test_an_attempt_that_was_prepared_and_never_made_is_no_span() -> None:
    record = call(attempts=1, outcome=Outcome.NOT_SENT)
    record.attempts = 0
    assert told(record)[1] == []


def test_a_call_without_lineage_is_no_span() -> None:
    assert list(spans(call(lineage=None), WALL, ENDS)) == []


@pytest.mark.parametrize(
    ("facts", "server_error", "client_status", "client_error"),
    [
        ({"status": 200, "outcome": Outcome.ANSWERED}, None, 200, None),
        ({"status": 404, "outcome": Outcome.ANSWERED}, None, 404, "404"),
        ({"status": 500, "outcome": Outcome.ANSWERED}, "500", 500, "500"),
        ({"status": 504, "outcome": Outcome.UNKNOWN, "code": "slow"}, "slow", None, "slow"),
        ({"status": 503, "outcome": Outcome.NOT_SENT, "code": "tls"}, "tls", None, "tls"),
        ({"status": 200, "outcome": Outcome.ABORTED, "code": "cut"}, "cut", 200, "cut"),
        ({"status": 0, "outcome": Outcome.ABORTED}, "aborted", None, "aborted"),
        ({"status": 201, "outcome": Outcome.ORPHANED}, "orphaned", 201, None),
        ({"status": 0, "outcome": Outcome.UNKNOWN}, "unknown", None, "unknown"),
        ({"status": 0, "outcome": Outcome.NOT_SENT}, "not_sent", None, "not_sent"),
    ],
)  # fmt: skip
def test_what_went_wrong_is_told_of_each_side(
    facts: dict[str, Any], server_error: str | None, client_status: int | None, client_error: str | None
) -> None:
    server, (client,) = told(call(**facts))
    assert (server.attributes.get("error.type"), server.failed) == (server_error, server_error is not None)
    assert (client.attributes.get("error.type"), client.failed) == (client_error, client_error is not None)
    assert client.attributes.get("http.response.status_code") == client_status


@pytest.mark.parametrize(
    ("reason", "status", "error"),
    [
        (Resend.TOKEN, 401, "401"),
        (Resend.SAME_TOKEN, 401, "401"),
        (Resend.DISCONNECTED, None, "upstream_disconnected"),
        (Resend.CONNECT, None, "upstream_unreachable"),
    ],
)
def test_an_attempt_that_another_followed_tells_why(reason: Resend, status: int | None, error: str) -> None:
    record = call(attempts=2, status=200, outcome=Outcome.ANSWERED, resends=[reason])
    _, (first, second) = told(record)
    assert (first.attributes.get("http.response.status_code"), first.attributes["error.type"]) == (status, error)
    assert (second.attributes["http.request.resend_count"], second.failed) == (1, False)


def test_a_caller_that_went_away_was_answered_nothing() -> None:
    server, _ = told(call(status=201, outcome=Outcome.ORPHANED))
    assert "http.response.status_code" not in server.attributes


def test_a_method_that_http_does_not_define_has_the_name_that_the_conventions_give_it() -> None:
    server, (client,) = told(call(method="other", status=200, outcome=Outcome.ANSWERED))
    assert server.attributes["http.request.method"] == client.attributes["http.request.method"] == "_OTHER"


FACTS = st.fixed_dictionaries(
    {
        "status": st.sampled_from([0, 200, 302, 401, 403, 409, 429, 500, 503, 504, 599]),
        "outcome": st.sampled_from(Outcome),
        "code": st.sampled_from(["", *codes()]),
        "method": st.sampled_from([*METHODS, "other"]),
        "operation": st.sampled_from(["other", *(operation.name for operation in OPERATIONS)]),
        "resends": st.lists(st.sampled_from(Resend), max_size=3),
    }
)


@given(facts=FACTS)
def test_names_and_values_are_of_closed_sets_whatever_happened(facts: dict[str, Any]) -> None:
    attempts = len(facts["resends"]) + 1
    made = list(spans(call(attempts, **facts), WALL, ENDS))
    assert [span.role for span in made] == [Role.SERVER, *[Role.CLIENT] * attempts]
    closed = {*METHODS, "_OTHER", *Outcome, *codes(), *ENDS.server.values(), *ENDS.client.values()}
    for span in made:
        assert span.name == facts["operation"]
        assert span.started <= span.ended
        assert span.failed == ("error.type" in span.attributes)
        for name, value in span.attributes.items():
            assert isinstance(value, int) or value in closed or value in {str(facts["status"]), "401"}, name
            assert "path" not in name
            assert "full" not in name


def test_ends_are_those_of_the_settings() -> None:
    settings = dataclasses.replace(DEFAULTS, origin=Origin("api.example", 8443, tls=True))
    plain = span_endpoints(settings)
    assert plain.server == {"url.scheme": "http", "server.address": "127.0.0.1", "server.port": 8080}
    assert plain.client == {"url.scheme": "https", "server.address": "api.example", "server.port": 8443}
    secured = dataclasses.replace(settings, tls_cert_file=Path("cert.pem"), listen=TcpAddress("127.0.0.1", 0))
    assert span_endpoints(secured).server == {"url.scheme": "https", "server.address": "127.0.0.1"}
    on_a_file = dataclasses.replace(settings, listen=UnixAddress(Path("/run/proxy.sock")))
    assert span_endpoints(on_a_file).server == {"url.scheme": "http"}
