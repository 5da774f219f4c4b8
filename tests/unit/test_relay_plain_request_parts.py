"""A part of a request is never taken for one, however its numbers happen to fall."""

from __future__ import annotations

import pytest

from proxy.relay.request.plain_request import LONGEST_HEAD, MOST_FIELDS, Reader

WHOLE = b"POST /api/payout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
END = b"\r\n\r\n"


def read(data: bytes) -> bool:
    request = Reader(most_body=1000).read(data)
    return request is not None and not request.owed


def test_no_part_of_a_request_is_one_whatever_length_it_declares() -> None:
    """Of each length that the part itself, or what is behind any of its bytes, may have."""
    for length in range(100):
        request = WHOLE.replace(b": 2", b": %d" % length)
        whole = request.index(END) + len(END)
        for end in range(len(request) + 1):
            assert read(request[:end]) == (end - whole == length)


@pytest.mark.parametrize("known", [False, True])
def test_the_lines_of_a_head_that_was_read_before_make_no_head_without_its_end(*, known: bool) -> None:
    reader = Reader(most_body=1000)
    begun = b"POST /api/payout HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d"
    length = len(begun % 10) + len(b"\r") - 3
    if known:
        assert reader.read(begun % length + END + b"x" * length) is not None
    assert reader.read(begun % length + b"\r") is None


@pytest.mark.parametrize(("size", "ordinary"), [(LONGEST_HEAD, True), (LONGEST_HEAD + 1, False)])
def test_a_head_may_be_so_long_and_no_longer(size: int, *, ordinary: bool) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: "
    assert read(head + b"x" * (size - len(head) - len(END)) + END) == ordinary


@pytest.mark.parametrize(("lines", "ordinary"), [(MOST_FIELDS, True), (MOST_FIELDS + 1, False)])
def test_a_head_may_have_so_many_fields_and_no_more(lines: int, *, ordinary: bool) -> None:
    fields = b"".join(b"\r\nX-%d: 1" % number for number in range(lines - 1))
    assert read(b"GET / HTTP/1.1\r\nHost: localhost" + fields + END) == ordinary
