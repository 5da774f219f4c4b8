"""Composes header fields as the relay does, and parts the lines again, so that tests can compare fields."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.errors import BadRequestError
from proxy.http1.framing import Ending, Framing, Head
from proxy.relay.request.headers import check_crossing, request_lines
from proxy.relay.request.request_fields import read_fields
from proxy.relay.response.head import ResponseHeads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from proxy.config import Origin
    from proxy.relay.request.request_fields import Told

    Field = tuple[bytes, bytes]


def told(headers: Iterable[Field]) -> Told:
    """Values of the fields that decide something."""
    return read_fields(headers).told


def to_upstream(
    headers: Iterable[Field], *, authorization: bytes | None, request_id: bytes, http_1_1: bool = True
) -> list[Field]:
    """The fields that go to Localpayment; raises the refusal of those that may not."""
    fields = read_fields(headers)
    if not fields.clear:
        message = "no fields of HTTP"
        raise BadRequestError(message)
    if fields.watched:
        check_crossing(fields.told)
    own_id = request_id if fields.request_id is None else None
    return parted(request_lines(fields.lines, own_id, None, authorization, http_1_1))


def to_caller(headers: Iterable[Field], origin: Origin, request_id: str) -> list[Field]:
    """The fields of an answer that go to the caller."""
    head = Head(200, b"OK", list(headers), Framing(Ending.HEAD, None, keeps_alive=True))
    return parted(ResponseHeads(origin).compose(head, request_id, None).partition(b"\r\n")[2])


def parted(lines: bytes) -> list[Field]:
    found = [line.partition(b": ") for line in lines.split(b"\r\n")[:-1]]
    return [(name, value) for name, _, value in found]
