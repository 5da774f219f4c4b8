"""A value that holds what a call carries shows none of it, wherever it is printed."""

from __future__ import annotations

import pytest

from proxy.relay.request.plain_request import Reader
from proxy.upstream.json_client import JsonAnswer
from proxy.upstream.model import OutgoingRequest

REQUEST = b'POST /api/payout?canary HTTP/1.1\r\nHost: localhost\r\nX-Key: canary\r\nContent-Length: 8\r\n\r\n"canary"'
READ = Reader(b"x-key", most_body=1000).read(REQUEST)
assert READ is not None
VALUES = (
    READ,
    READ.fields,
    OutgoingRequest(b"POST", b"/api/canary", b"Authorization: Bearer canary\r\n", b"canary", effects=True),
    JsonAnswer(200, [(b"Set-Cookie", b"canary")], b'{"access": "canary"}'),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_that_holds_a_request_or_an_answer_shows_nothing_of_it(value: object) -> None:
    assert "canary" not in repr(value) + str(value) + f"{value!r}"
