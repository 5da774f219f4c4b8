"""Only a body that names payouts by id, in JSON that everybody reads alike, is no release by date."""

from __future__ import annotations

import pytest

from proxy.relay.release import releases_by_date

JSON = (b"Content-Type", b"application/json")
BY_ID = b'{"externalIds": ["p-1", "p-2"]}'


@pytest.mark.parametrize(
    "body",
    [
        BY_ID,
        b'{"externalId": "p-1"}',
        b'{"ids": ["p-1"], "updatedBy": "ops"}',
        b'{"payouts": [{"external_id": "p-1"}]}',
        b'[{"payoutId": 7}]',
        b' {"externalIds": ["dateFrom", "dateTo"], "comment": "since that date"} ',
    ],
)
def test_a_body_that_names_payouts_by_id_is_no_release_by_date(body: bytes) -> None:
    assert not releases_by_date([JSON], b"", body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"dateFrom": "2024-01-01", "dateTo": "2024-12-31"}',
        b'{"externalIds": ["p-1"], "dateFrom": "2024-01-01"}',
        b'{"externalIds": ["p-1"], "\\u0064ateFrom": "2024-01-01"}',
        b'{"externalIds": ["p-1"], "DATEFROM": "x"}',
        b'{"externalIds": ["p-1"], "date_to": "x"}',
        b'{"externalIds": ["p-1"], "startDate": "x"}',
        b'{"externalIds": ["p-1"], "filter": [{"dateTo": null}]}',
        b'{"externalIds": ["p-1"], "x": {"dateFrom": 1}, "x": 2}',
        b'{"externalIds": []}',
        b'{"externalIds": null}',
        b'{"country": "ARG"}',
        b"{}",
        b"[]",
        b'"externalIds"',
        b"null",
        b"",
        b"{",
        b"dateFrom=2024-01-01&dateTo=2024-12-31",
        b"\xef\xbb\xbf" + BY_ID,
        BY_ID.decode().encode("utf-16"),
        b'{"externalIds": ["\xff"]}',
        BY_ID + BY_ID,
        b"[" * 100_000,
    ],
)
def test_whatever_speaks_of_dates_or_names_nothing_is_by_date(body: bytes) -> None:
    assert releases_by_date([JSON], b"", body)


def test_a_body_that_is_not_held_is_by_date() -> None:
    assert releases_by_date([JSON], b"", None)


@pytest.mark.parametrize("query", [b"dateFrom=x", b"a=1&DATETO=x", b"%64ateFrom=x", b"%2564ate=x"])
def test_dates_in_the_query_are_seen(query: bytes) -> None:
    assert releases_by_date([JSON], query, BY_ID)
    assert not releases_by_date([JSON], b"page=1", BY_ID)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [JSON, JSON],
        [JSON, (b"content_type", b"application/x-www-form-urlencoded")],
        [(b"Content-Type", b"application/x-www-form-urlencoded")],
        [(b"Content-Type", b"multipart/form-data; boundary=x")],
        [(b"Content-Type", b"application/json; charset=utf-7")],
        [(b"Content-Type", b"application/json; charset=utf-8; charset=utf-7")],
        [(b"Content-Type", b"application/jsonp")],
        [JSON, (b"Content-Encoding", b"gzip")],
    ],
)
def test_a_body_that_others_may_read_otherwise_is_by_date(headers: list[tuple[bytes, bytes]]) -> None:
    assert releases_by_date(headers, b"", BY_ID)


@pytest.mark.parametrize(
    "value", [b"Application/JSON", b"application/json;charset=UTF-8", b'application/json ; charset="utf-8" ']
)
def test_plain_json_may_be_spelt_in_several_ways(value: bytes) -> None:
    assert not releases_by_date([(b"content-type", value), (b"A", b"1")], b"", BY_ID)
