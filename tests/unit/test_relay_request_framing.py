"""Where a caller's request ends, and what it asks for besides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BadRequestError, ExpectationFailedError
from proxy.relay.request.framing import HTTP_1_0, HTTP_1_1, Framing, declared_length, request_framing
from proxy.relay.request.request_fields import read_fields

Field = tuple[bytes, bytes]
CHUNKED = (b"Transfer-Encoding", b"chunked")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Framing(None, waits=False)),
        ([(b"Content-Length", b"0")], Framing(0, waits=False)),
        ([(b"content-length", b"0012")], Framing(12, waits=False)),
        ([(b"CONTENT-LENGTH", b"9" * 18)], Framing(int("9" * 18), waits=False)),
        ([CHUNKED], Framing(None, waits=False)),
        ([(b"Transfer-Encoding", b"Chunked")], Framing(None, waits=False)),
        ([(b"Expect", b"100-Continue"), (b"Content-Length", b"5")], Framing(5, waits=True)),
        ([(b"Upgrade", b"h2c")], Framing(None, waits=False)),
        ([(b"Expecting", b"x"), (b"X-Upgrade", b"websocket")], Framing(None, waits=False)),
    ],
)
def test_a_request_with_one_reading_is_read_so(headers: list[Field], expected: Framing) -> None:
    assert request_framing(HTTP_1_1, read_fields(headers).told) == expected


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Content-Length", value)]
        for value in (b"", b"+5", b"-5", b"5 5", b"5,5", b"0x5", b"5.0", b"\xb2", b"9" * 19, b"0" * 5000 + b"1")
    ]
    + [[(b"Transfer-Encoding", value)] for value in (b"", b",", b",chunked", b"chunked,", b"chunked ,")]
    + [[CHUNKED, (b"Transfer-Encoding", b"")], [(b"Transfer-Encoding", b""), CHUNKED]]
    + [[(b"Transfer-Encoding", value)] for value in (b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity")]
    + [[CHUNKED, (b"Content-Length", b"5")], [(b"Content-Length", b"5"), CHUNKED]]
    + [[(b"Upgrade", value)] for value in (b"websocket", b"WebSocket/13", b"h2c, websocket")],
)
def test_a_request_with_another_reading_is_refused(headers: list[Field]) -> None:
    with pytest.raises(BadRequestError):
        request_framing(HTTP_1_1, read_fields(headers).told)


@pytest.mark.parametrize("version", [(0, 9), (1, 2), (2, 0), (3, 0)])
def test_other_versions_are_refused(version: tuple[int, int]) -> None:
    with pytest.raises(BadRequestError, match=r"HTTP/1\.1"):
        request_framing(version, read_fields([]).told)


@pytest.mark.parametrize("value", [b"", b"200-ok", b"100-continue, x", b"100"])
def test_no_other_expectation_can_be_met(value: bytes) -> None:
    with pytest.raises(ExpectationFailedError):
        request_framing(HTTP_1_1, read_fields([(b"expect", value)]).told)


def test_http_1_0_has_no_chunks_and_no_expectations() -> None:
    with pytest.raises(BadRequestError):
        request_framing(HTTP_1_0, read_fields([CHUNKED]).told)
    assert request_framing(HTTP_1_0, read_fields([(b"Expect", b"200-ok"), (b"Content-Length", b"5")]).told) == Framing(
        5, waits=False
    )


@given(st.binary(max_size=30))
def test_a_length_is_a_number_for_everybody_or_for_nobody(value: bytes) -> None:
    headers = [(b"Content-Length", value)]
    length = declared_length(headers)
    try:
        assert request_framing(HTTP_1_1, read_fields(headers).told).length == length
    except BadRequestError:
        assert length is None
    if length is not None:
        assert int(value.decode("ascii")) == length


def test_without_the_field_no_length_is_declared() -> None:
    assert declared_length([(b"X-Length-Field", b"5"), (b"Content-Type", b"5")]) is None
