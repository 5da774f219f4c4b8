"""Which calls are tried at every fault point, and what must be true of each afterwards?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.origins import request

if TYPE_CHECKING:
    from tests.support.origins import Answered, Localpayment
    from tests.support.sidecars import Running

HELD = b'{"externalId": "order-1"}'
STREAMED = b'{"externalId": "order-1", "comment": "' + b"x" * 4096 + b'"}'  # more than a replay buffer of 1 KiB
REQUEST_ID = "the-call"


@dataclass(frozen=True)
class Call:
    """A call of the catalogue; `check` is the read that settles it."""

    method: str
    target: str
    operation: str
    check: str | None = None
    body: bytes | None = None
    chunked: bool = False

    @property
    def name(self) -> str:
        how = "held" if self.body == HELD else "chunked" if self.chunked else "streamed"
        return f"{self.method} {self.operation}" + ("" if self.body is None else f" {how}")

    @property
    def streamed(self) -> bool:
        return self.body == STREAMED

    @property
    def request(self) -> bytes:
        return request(self.method, self.target, f"X-Request-Id: {REQUEST_ID}", body=self.body, chunked=self.chunked)

    @property
    def begun(self) -> bytes:
        """The request without its last bytes."""
        return self.request[:-100]

    @property
    def line(self) -> bytes:
        """What Localpayment must see."""
        return f"{self.method} {self.target} HTTP/1.1\r\n".encode()


_ACCOUNT = "/api/virtual-account/va-1"
CALLS = (
    Call("GET", "/api/accounts/032.840.00000001/balance", "get_balance"),
    *(Call("POST", "/api/validation/bank", "validate_bank_account", body=body) for body in (HELD, STREAMED)),
    # Its id is in the body, which is looked into only where it is held.
    Call("POST", "/api/payout", "create_payout", "/api/transactions/order-1/status", body=HELD),
    Call("POST", "/api/payout", "create_payout", body=STREAMED),
    Call("POST", "/api/payout", "create_payout", body=STREAMED, chunked=True),
    *(
        Call("PATCH", "/api/payin/order-1/refund", "refund_payin", "/api/transactions/order-1/status", body)
        for body in (None, HELD, STREAMED)
    ),
    Call("DELETE", _ACCOUNT, "delete_virtual_account", _ACCOUNT),
)


@dataclass(frozen=True)
class Expected:
    """What must be true.

    Attributes:
        sent: how often Localpayment saw the beginning of the call.
        proxy_status: the error type of RFC 9209, where the code alone does not tell.
    """

    status: int
    outcome: str
    code: str
    sent: int
    resends: tuple[str, ...] = ()
    proxy_status: str = ""


PROXY_STATUS = {
    "upstream_unreachable": "destination_unavailable",
    "upstream_tls": "tls_protocol_error",
    "upstream_timeout": "connection_read_timeout",
    "upstream_disconnected": "connection_terminated",
    "upstream_malformed": "http_protocol_error",
}


def observed(relay: Running, there: Localpayment, call: Call, answered: Answered, expected: Expected) -> None:
    """Assert it of the caller's answer, the wire, the log and the metrics."""
    _answer(call, answered, expected)
    assert there.calls.count(call.line) == expected.sent
    assert expected.sent < 2 or call.method == "GET"
    (line,) = [line for line in relay.calls if line["request_id"] == REQUEST_ID]
    assert (line["operation"], line["method"]) == (call.operation, call.method)
    assert (line["status"], line["outcome"], line["code"]) == (
        expected.status,
        expected.outcome,
        expected.code or None,
    )
    assert line["attempts"] == 1 + len(expected.resends)
    _metrics(relay, call, expected)


def _answer(call: Call, answered: Answered, expected: Expected) -> None:
    match expected.outcome:
        case "answered":
            assert (answered.status, answered.body, answered.complete) == (200, b"hello", True)
            assert "proxy-status" not in answered.headers
        case "aborted":
            assert (answered.status, answered.complete) == (200, False)
        case outcome:
            problem = answered.problem
            assert answered.complete
            assert answered.status == problem["status"] == expected.status
            assert (problem["outcome"], problem["code"]) == (outcome, expected.code)
            assert (problem["operation"], problem["request_id"]) == (call.operation, REQUEST_ID)
            assert problem["retryable"] == (outcome == "not_sent")
            assert problem.get("check") == (call.check if outcome == "unknown" else None)
            kind = expected.proxy_status or PROXY_STATUS[expected.code]
            assert answered.headers["proxy-status"] == f'localpayment-proxy; error={kind}; details="{expected.code}"'
            assert answered.headers["x-request-id"] == REQUEST_ID
            assert ("retry-after" in answered.headers) == (outcome == "not_sent")
            assert (answered.status == 503) == (outcome == "not_sent")


def _metrics(relay: Running, call: Call, expected: Expected) -> None:
    labels = {"operation": call.operation, "method": call.method}
    assert relay.value("requests_total", **labels, status=str(expected.status), outcome=expected.outcome) == 1
    if expected.code:
        assert relay.value("refusals_total", code=expected.code) == 1
    for reason in ("connect", "disconnected", "token", "same_token"):
        assert relay.value("resends_total", reason=reason) == expected.resends.count(reason)
    assert relay.value("in_flight_requests") == 0
