"""Our own answers, byte for byte."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from proxy import errors
from proxy.errors import BadRequestError, MethodForbiddenError, Outcome, RelayError, UpstreamTimeoutError
from proxy.relay.response.problem import problem, problem_body, problem_head

if TYPE_CHECKING:
    from collections.abc import Iterator

DATE = "Wed, 25 Nov 2026 17:00:00 GMT"


def concrete(kind: type[RelayError] = RelayError) -> Iterator[type[RelayError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield from concrete(child)
            if hasattr(child, "code"):
                yield child


EVERY = [*concrete()]
every_error = pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)


def headers(error: RelayError, *, close: bool = False) -> list[str]:
    head = problem_head(error, request_id="id-1", date=DATE, length=7, close=close).decode("latin-1")
    assert head.endswith("\r\n\r\n")
    return head.split("\r\n")[:-2]


def test_an_answer_of_our_own_is_these_bytes() -> None:
    error = UpstreamTimeoutError("No answer within 60 s.")
    assert problem_head(error, request_id="id-1", date=DATE, length=7, close=True) == (
        b"HTTP/1.1 504 Gateway Timeout\r\n"
        b"Content-Type: application/problem+json\r\n"
        b"Content-Length: 7\r\n"
        b"Date: Wed, 25 Nov 2026 17:00:00 GMT\r\n"
        b"Cache-Control: no-store\r\n"
        b'Proxy-Status: localpayment-proxy; error=connection_read_timeout; details="upstream_timeout"\r\n'
        b"X-Request-Id: id-1\r\n"
        b"Connection: close\r\n"
        b"\r\n"
    )
    assert problem(error, operation="create_payout", request_id="id-1", check="/api/x/status") == {
        "type": "urn:localpayment-proxy:error:upstream_timeout",
        "title": "Localpayment did not answer in time",
        "status": 504,
        "detail": "No answer within 60 s.",
        "code": "upstream_timeout",
        "outcome": "unknown",
        "retryable": False,
        "operation": "create_payout",
        "request_id": "id-1",
        "check": "/api/x/status",
    }


@every_error
def test_every_error_makes_an_answer_that_says_what_it_is(kind: type[RelayError]) -> None:
    error = kind("What happened, and what to do.")
    lines = headers(error)
    assert lines[0].startswith(f"HTTP/1.1 {kind.status} ")
    assert f'Proxy-Status: localpayment-proxy; error={kind.proxy_status}; details="{kind.code}"' in lines
    assert any(line.startswith("Retry-After: ") for line in lines) == (kind.outcome is Outcome.NOT_SENT)
    assert "Connection: close" not in lines
    read = json.loads(problem_body(problem(error, operation="other", request_id="id-1", check=None)))
    assert (read["status"], read["code"], read["outcome"]) == (kind.status, kind.code, kind.outcome.value)
    assert "check" not in read


def test_a_refusal_in_the_middle_of_an_upload_says_that_the_outcome_is_unknown() -> None:
    error = BadRequestError("Not framed as declared.")
    error.outcome = Outcome.UNKNOWN
    read = problem(error, operation="create_payout", request_id="id-1", check=None)
    assert (read["status"], read["outcome"], read["retryable"]) == (400, "unknown", False)
    assert BadRequestError.outcome is Outcome.REJECTED


@pytest.mark.parametrize(("seconds", "told"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.1, "2"), (59.5, "60")])
def test_retry_after_is_a_whole_number_of_seconds_and_never_now(seconds: float, told: str) -> None:
    error = errors.OverloadedError("Too many.", retry_after=seconds)
    assert f"Retry-After: {told}" in headers(error)


def test_405_says_which_methods_there_are() -> None:
    assert "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS" in headers(MethodForbiddenError("Not relayed."))


def test_a_text_beyond_ascii_is_utf_8_and_one_line() -> None:
    body = problem_body(problem(BadRequestError("Ñandú\nzwei"), operation="other", request_id="i", check=None))
    assert body.count(b"\n") == 1
    assert json.loads(body)["detail"] == "Ñandú\nzwei"
    assert "Ñandú".encode() in body
