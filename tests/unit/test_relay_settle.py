"""The read that tells what became of a call."""

from __future__ import annotations

import json

import pytest

from proxy.api.external_id import check_path_of
from proxy.api.operations import match

ORDER = b'{"externalId": "order-1"}'


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("PATCH", "/api/payin/order-1/refund", "/api/transactions/order-1/status"),
        ("PATCH", "/api/payin/a%2Fb/refund", "/api/transactions/a%2Fb/status"),
        ("DELETE", "/api/virtual-account/va-1", "/api/virtual-account/va-1"),
        ("POST", "/api/payout", None),
        ("POST", "/api/payout/authorize", None),
        ("POST", "/api/unknown", None),
    ],
)
def test_an_id_in_the_path_is_enough_and_the_body_is_not_looked_at(
    method: str, path: str, expected: str | None
) -> None:
    assert check_path_of(match(method, path), None) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/payin", "/api/transactions/order-1/status"),
        ("/api/payout", "/api/transactions/order-1/status"),
        ("/api/payin/subscriptions", "/api/subscriptions/order-1"),
        ("/api/virtual-account", "/api/virtual-account/order-1"),
        ("/api/virtual-account-batch", "/api/virtual-account-batch/order-1"),
        # No documented read knows these by the merchant's id.
        ("/api/billing", None),
        ("/api/internal-transfer", None),
        ("/api/account/wire-out", None),
        ("/api/card", None),
    ],
)
def test_an_id_in_the_body_names_the_read_that_knows_it(path: str, expected: str | None) -> None:
    assert check_path_of(match("POST", path), ORDER) == expected


@pytest.mark.parametrize(
    ("name", "segment"),
    [
        ("a/b", "a%2Fb"),
        ("a b", "a%20b"),
        ("é", "%C3%A9"),
        ("032.840.00000001", "032.840.00000001"),
    ],
)
def test_an_id_is_encoded_once(name: str, segment: str) -> None:
    body = json.dumps({"externalId": name}).encode()
    assert check_path_of(match("POST", "/api/payout"), body) == f"/api/transactions/{segment}/status"


@pytest.mark.parametrize("name", ["..", ".", "../../token", "a\nb", "a\0b", "list/filter/..", "a%2e%2e", "a?b#c"])
def test_an_id_that_would_lead_elsewhere_leads_nowhere(name: str) -> None:
    body = json.dumps({"externalId": name}).encode()
    found = check_path_of(match("POST", "/api/payout"), body)
    assert found is None or found.count("/") == 4


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'"order-1"',
        b'{"externalId": 5}',
        b'{"externalId": ""}',
        b'{"a": {"externalId": "x"}}',
        b'{"externalId": "half a character: \\ud800"}',
        b'{"externalId": "a\\u0000b"}',
        b'{"externalId": "%b"}' % (b"x" * 513),
    ],
)
def test_without_an_id_no_read_is_named(body: bytes | None) -> None:
    assert check_path_of(match("POST", "/api/payout"), body) is None


def test_a_body_too_large_to_read_is_not_read() -> None:
    body = json.dumps({"externalId": "order-1", "comment": "x" * 70_000}).encode()
    assert check_path_of(match("POST", "/api/payout"), body) is None
