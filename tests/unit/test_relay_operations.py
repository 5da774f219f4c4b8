"""A method and a path mean at most one operation; what the catalogue does not know is never taken for harmless."""

from __future__ import annotations

import pytest

from proxy.api.external_id import check_path_of
from proxy.api.operations import NAMES, OPERATIONS, OTHER, Kind, Match, match


def named(method: str, path: str) -> str:
    return match(method, path).operation.name


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/api/payin", "create_payin"),
        ("POST", "/api/payin/", "create_payin"),
        ("GET", "/api/subscriptions/plan", "list_plans"),
        ("GET", "/api/subscriptions/planet", "get_subscription"),
        ("GET", "/api/subscriptions/plan/7", "get_plan"),
        ("PATCH", "/api/payin/subscriptions/s-1", "update_subscription"),
        ("POST", "/api/payin/subscriptions/s-1", "update_subscription"),
        ("PATCH", "/api/payin/order-1/refund", "refund_payin"),
        ("GET", "/api/transactions/list/filter", "list_transactions"),
        ("GET", "/api/transactions/list/status", "get_transaction_status"),
        ("POST", "/currency-exchange", "exchange_currency"),
        ("POST", "/api/currency-exchange/", "exchange_currency"),
        ("PUT", "/api/virtual-account/v/activation/enable/", "set_virtual_account_activation"),
        ("PUT", "/api/virtual-account/v/activation/disable", "set_virtual_account_activation"),
        ("GET", "/api/accounts/032.840.00000001/balance", "get_balance"),
        ("HEAD", "/api/resources/banks", "list_banks"),
        ("HEAD", "/api/transactions/x", "get_transaction"),
    ],
)
def test_literal_segments_beat_parameters_and_a_slash_at_the_end_is_free(method: str, path: str, name: str) -> None:
    assert named(method, path) == name


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/payin"),
        ("HEAD", "/api/payin"),
        ("OPTIONS", "/api/resources/banks"),
        ("get", "/api/resources/banks"),
        ("GET", "/api/resources/Banks"),
        ("GET", "/API/resources/banks"),
        ("GET", "api/resources/banks"),
        ("GET", "/api/resources/banks//"),
        ("GET", "//api/resources/banks"),
        ("GET", "/api/transactions/"),
        ("GET", "/api/transactions//status"),
        ("PUT", "/api/virtual-account/v/activation/maybe"),
        ("GET", "/api/transactions/x/status/y"),
        ("GET", "/api"),
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/api/token/"),
    ],
)
def test_an_unknown_call_is_other_and_has_effects(method: str, path: str) -> None:
    assert match(method, path) == Match(OTHER)
    assert OTHER.has_effects


@pytest.mark.parametrize(
    ("method", "path", "external_id", "check"),
    [
        ("PATCH", "/api/payin/capture/a%2Fb%3D", "a%2Fb%3D", "/api/transactions/a%2Fb%3D/status"),
        ("PATCH", "/api/payin/order-1/refund/", "order-1", "/api/transactions/order-1/status"),
        ("PATCH", "/api/transactions/o/status", "o", "/api/transactions/o/status"),
        ("GET", "/api/transactions/o/status", "o", "/api/transactions/o/status"),
        ("GET", "/api/transactions/o", "o", "/api/transactions/o/status"),
        ("PATCH", "/api/payin/subscriptions/s/status", "s", "/api/subscriptions/s"),
        ("PATCH", "/api/subscriptions/plan/7", "7", "/api/subscriptions/plan/7"),
        ("DELETE", "/api/virtual-account/v/", "v", "/api/virtual-account/v"),
        ("PUT", "/api/virtual-account/v/activation/enable/", "v", "/api/virtual-account/v"),
        ("POST", "/api/virtual-account/v/alias", "v", None),
        ("POST", "/api/payin", None, None),
        ("POST", "/api/payout", None, None),
        ("GET", "/api/accounts/123/balance", None, None),
        ("GET", "/api/images/code/barcode", None, None),
        ("DELETE", "/api/transactions/o", None, None),
    ],
)
def test_the_read_that_settles_a_call_is_told_when_its_id_stands_in_the_path(
    method: str, path: str, external_id: str | None, check: str | None
) -> None:
    found = match(method, path)
    assert (found.external_id, check_path_of(found, None)) == (external_id, check)


def test_a_check_is_itself_a_read_of_the_catalogue() -> None:
    for operation in OPERATIONS:
        if operation.check is not None:
            check = match("GET", operation.check.replace("{externalId}", "x")).operation
            assert (check.kind, operation.duplicate_key == "part") == (Kind.READ, False), operation.name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/payin/capture/refund", "capture_payin"),
        ("/api/payin/capture/refund/", "capture_payin"),
        ("/api/payin/subscriptions/refund", "update_subscription"),
    ],
)
def test_a_path_that_fits_two_operations_says_so(path: str, name: str) -> None:
    assert match("PATCH", path) == Match(match("PATCH", path).operation, "refund", contested=True)
    assert named("PATCH", path) == name


def test_a_special_case_of_another_path_is_not_contested() -> None:
    assert not match("GET", "/api/subscriptions/plan").contested
    assert not match("GET", "/api/transactions/list/status").contested
    assert not match("POST", "/api/payin/subscriptions/refund").contested


def test_a_match_does_not_show_its_id() -> None:
    assert "order-1" not in repr(match("GET", "/api/transactions/order-1"))


@pytest.mark.parametrize(
    ("kind", "has_effects", "moves_money"),
    [
        (Kind.READ, False, False),
        (Kind.QUOTE, True, False),
        (Kind.STATE, True, False),
        (Kind.MONEY_IN, True, True),
        (Kind.MONEY_OUT, True, True),
        (Kind.MONEY_INTERNAL, True, True),
    ],
)
def test_only_reads_are_free_of_effects(*, kind: Kind, has_effects: bool, moves_money: bool) -> None:
    operations = [operation for operation in OPERATIONS if operation.kind is kind]
    assert operations
    assert {(operation.has_effects, operation.moves_money) for operation in operations} == {(has_effects, moves_money)}


def test_names_are_unique_and_other_is_none_of_them() -> None:
    assert len(NAMES) == len(OPERATIONS) == 44
    assert OTHER.name not in NAMES


def test_what_duplicates_are_known_by_is_where_the_path_says() -> None:
    for operation in OPERATIONS:
        holds_id = any("{externalId}" in template or "{id}" in template for template in operation.templates)
        if operation.duplicate_key == "path":
            assert holds_id, operation.name
        if operation.duplicate_key in {"body", "part"}:
            assert not holds_id, operation.name
