"""A call can be found again by a name that no caller can make unsafe to log."""

from __future__ import annotations

import uuid

import pytest

from proxy.relay.request.request_fields import read_fields
from proxy.relay.request.trace_context import trace_id, uuid7

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = b"00f067aa0ba902b7"


def test_the_example_of_rfc_9562_is_made() -> None:
    assert uuid7(0x017F22E279B0, 0xCC3 << 62 | 0x18C4DC0C0C07398F) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize(("unix_ms", "bits"), [(0, 0), (2**48 - 1, 2**74 - 1), (2**48, 2**74), (1, 1), (-1, -1)])
def test_every_time_and_chance_makes_a_uuid_of_version_7(unix_ms: int, bits: int) -> None:
    parsed = uuid.UUID(text := uuid7(unix_ms, bits))
    assert (str(parsed), parsed.version, parsed.variant) == (text, 7, uuid.RFC_4122)


def test_later_ids_sort_later() -> None:
    ids = [uuid7(ms, bits) for ms, bits in ((1, 2**74 - 1), (2, 0), (2, 1), (2, 2**62), (300, 0))]
    assert ids == sorted(ids)


@pytest.mark.parametrize("name", [b"X-Request-Id", b"x-request-id", b"X_REQUEST_ID"])
def test_a_callers_usable_id_is_kept(name: bytes) -> None:
    assert read_fields([(b"A", b"1"), (name, b"order/1;a=b")]).request_id == b"order/1;a=b"
    assert read_fields([(name, b"x" * 128)]).request_id == b"x" * 128


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ((b"X-Request-Id", b""),),
        ((b"X-Request-Id", b"x" * 129),),
        ((b"X-Request-Id", b"a b"),),
        ((b"X-Request-Id", b"a\n"),),
        ((b"X-Request-Id", b"\xe9"),),
        ((b"X-Request-Id", b"a"), (b"x-request-id", b"a")),
    ],
)
def test_any_other_id_is_none(fields: tuple[tuple[bytes, bytes], ...]) -> None:
    assert read_fields(fields).request_id is None


@pytest.mark.parametrize(
    "value",
    [
        b"00-%b-%b-01" % (TRACE, PARENT),
        b"00-%b-%b-00" % (TRACE, PARENT),
        b"01-%b-%b-01" % (TRACE, PARENT),
        b"cc-%b-%b-01-what-the-future-holds" % (TRACE, PARENT),
    ],
)
def test_a_valid_traceparent_gives_its_trace(value: bytes) -> None:
    assert trace_id(read_fields([(b"TraceParent", value)]).told) == TRACE.decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00-%b-%b-01-more" % (TRACE, PARENT),
        b"ff-%b-%b-01" % (TRACE, PARENT),
        b"00-%b-%b-01" % (b"0" * 32, PARENT),
        b"00-%b-%b-01" % (TRACE, b"0" * 16),
        b"00-%b-%b-01" % (TRACE.upper(), PARENT),
        b"00-%b-%b-1" % (TRACE, PARENT),
        b"00-%b-%b-011" % (TRACE, PARENT),
        b"0-%b-%b-01" % (TRACE, PARENT),
        b" 00-%b-%b-01" % (TRACE, PARENT),
        b"00-%b-%b-01\n" % (TRACE, PARENT),
        b"00-%b-01" % TRACE,
    ],
)
def test_anything_else_gives_no_trace(value: bytes) -> None:
    assert trace_id(read_fields([(b"traceparent", value)]).told) is None


def test_two_traceparents_give_no_trace() -> None:
    field = (b"traceparent", b"00-%b-%b-01" % (TRACE, PARENT))
    assert trace_id(read_fields([field, field]).told) is None
    assert trace_id(read_fields([]).told) is None
