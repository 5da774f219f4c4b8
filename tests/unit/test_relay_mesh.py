"""A call that a mesh has sent before is known by its header fields."""

from __future__ import annotations

import pytest

from proxy.relay.request.headers import attempt_number
from proxy.relay.request.request_fields import read_fields

NAME = b"x-envoy-attempt-count"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], 1),
        ([(NAME, b"1")], 1),
        ([(NAME, b"2")], 2),
        ([(NAME.upper(), b"3")], 3),
        ([(NAME, b"2"), (NAME, b"5")], 5),
        ([(NAME, b"0")], 1),
        ([(NAME, b"")], 1),
        ([(NAME, b"-2")], 1),
        ([(NAME, b"two")], 1),
        ([(NAME, b"9999999")], 1),
        ([(b"x-envoy-attempt-kount", b"2")], 1),
    ],
)
def test_the_number_is_what_the_mesh_says_if_it_can_be_read(headers: list[tuple[bytes, bytes]], expected: int) -> None:
    assert attempt_number(read_fields(headers).told) == expected
