"""Only a body that names payouts by a documented member, in JSON that everybody reads alike, is a release by id."""

from __future__ import annotations

import pytest

from proxy.policy.payout_release import releases_by_date

JSON = (b"Content-Type", b"application/json")
BY_ID = b'{"externalIds": ["p-1", "p-2"]}'


@pytest.mark.parametrize(
    "body",
    [
        BY_ID,
        b'{"externalId": "p-1"}',
        b'{"internalId": "9e62700a-875d-430e-8239-c9be1ef81e75"}',
        b' {"externalIds": ["dateFrom", "dateTo"]} ',
        b'{"external\\u0049d": "Orden_\xc3\xb1.7/A"}',
    ],
)
def test_a_body_that_names_payouts_by_a_documented_member_is_no_release_by_date(body: bytes) -> None:
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
        b'{"externalIds": "p-1"}',
        b'{"externalIds": {"p-1": true}}',
        b'{"externalIds": [null]}',
        b'{"externalIds": [""]}',
        b'{"externalIds": [" "]}',
        b'{"externalIds": [[]]}',
        b'{"externalIds": [["p-1"]]}',
        b'{"externalIds": ["*"]}',
        b'{"externalIds": ["p-1", "*"]}',
        b'{"externalIds": ["p-%"]}',
        b'{"externalIds": ["p-?"]}',
        b'{"externalIds": ["p-1,p-2"]}',
        b'{"externalIds": ["p-1\\u0000"]}',
        b'{"externalIds": ["\\ud800"]}',
        b'{"externalIds": [7]}',
        b'{"externalIds": [NaN]}',
        b'{"externalIds": [true]}',
        b'{"externalId": 7}',
        b'{"externalId": NaN}',
        b'{"externalId": null}',
        b'{"externalId": ""}',
        b'{"externalId": "*"}',
        b'{"externalId": ["p-1"]}',
        b'{"externalId": {"$ne": "p-1"}}',
        b'{"externalId": "' + b"x" * 129 + b'"}',
        b'{"externalId": "p-1", "externalId": "p-1"}',
        b'{"externalIds": ["p-1"], "externalIds": ["p-2"]}',
        b'{"externalId": "p-1", "internalId": "p-1"}',
        b'{"externalIds": ["p-1"], "from": "2024-01-01", "to": "2024-12-31"}',
        b'{"externalIds": ["p-1"], "fechaDesde": "2024-01-01"}',
        b'{"externalIds": ["p-1"], "all": true}',
        b'{"externalIds": ["p-1"], "": ""}',
        b'{"externalIds": ["p-1"], "comment": "since that date"}',
        b'{"externalIds": ["p-1"], "_method": "POST"}',
        b'{"from": "2024-01-01", "to": "2024-12-31"}',
        b'{"all": true}',
        b'{"ids": ["p-1"]}',
        b'{"id": "p-1"}',
        b'{"ExternalId": "p-1"}',
        b'{"external_id": "p-1"}',
        b'{"payouts": [{"externalId": "p-1"}]}',
        b'[{"externalId": "p-1"}]',
        b'["p-1"]',
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
def test_whatever_names_payouts_in_no_documented_way_is_by_date(body: bytes) -> None:
    assert releases_by_date([JSON], b"", body)


def test_a_body_that_is_not_held_is_by_date() -> None:
    assert releases_by_date([JSON], b"", None)


@pytest.mark.parametrize("query", [b"dateFrom=x", b"a=1&DATETO=x", b"%64ateFrom=x", b"from=x", b"page=1", b"x"])
def test_a_release_with_a_query_is_by_date(query: bytes) -> None:
    assert releases_by_date([JSON], query, BY_ID)


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
