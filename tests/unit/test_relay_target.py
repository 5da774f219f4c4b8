"""A target means the same to all who may read it, or it is refused; what passes is never touched."""

from __future__ import annotations

import pytest

from proxy.errors import BadTargetError, OperationForbiddenError, RelayError
from proxy.relay.target import read_target


@pytest.mark.parametrize(
    ("method", "raw", "name"),
    [
        ("POST", b"/api/payin", "create_payin"),
        ("POST", b"/api/payin/", "create_payin"),
        ("GET", b"/api/accounts/032.840.00000001/balance", "get_balance"),
        (
            "GET",
            b"/api/transactions/list/filter?since=2024-01-01T00:00:00&x=../../token/;//%zz\\{}|^",
            "list_transactions",
        ),
        ("GET", b"/api/resources/banks?", "list_banks"),
        ("GET", b"/api/resources/banks?/api/token/", "list_banks"),
        ("GET", b"/api/resources/banks?note=%0d%0a", "list_banks"),
        ("PATCH", b"/api/payin/subscriptions/dG9r%2FZW4%2B%3D", "update_subscription"),
        ("PATCH", b"/api/payin/subscriptions/a%2F%2Fb", "update_subscription"),
        ("PATCH", b"/api/payin/subscriptions/a%2fb", "update_subscription"),
        ("PATCH", b"/api/payin/subscriptions/%2Fa%2F", "update_subscription"),
        ("GET", b"/api/images/a%2Fb/c%2Fd", "get_ticket_image"),
        ("PATCH", b"/api/payin/capture%2Fx/refund", "refund_payin"),
        ("GET", b"/api/transactions/a%20b", "get_transaction"),
        ("GET", b"/api/transactions/%C3%A9", "get_transaction"),
        ("GET", b"/api/transactions/100%25", "get_transaction"),
        ("GET", b"/api/transactions/a%2Eb", "get_transaction"),
        ("GET", b"/api/transactions/...", "get_transaction"),
        ("GET", b"/api/transactions/.a", "get_transaction"),
        ("GET", b"/api/transactions/a;b", "get_transaction"),
        ("GET", b"/api/transactions/a%3Bb", "get_transaction"),
        ("GET", b"/api/transactions/a%3Fb", "get_transaction"),
        ("GET", b"/api/transactions/token", "get_transaction"),
        ("GET", b"/api/transactions/a{b}", "get_transaction"),
        ("GET", b"/api/tokens", "other"),
        ("GET", b"/api/tokenise/x", "other"),
        ("GET", b"/token/", "other"),
        ("GET", b"/", "other"),
        ("GET", b"/?", "other"),
        ("GET", b"/a/../b", "other"),
        ("GET", b"//a", "other"),
        ("GET", b"/a%2Fb", "other"),
        ("OPTIONS", b"/api/payin", "other"),
        ("GET", b"/API/transactions/x", "other"),
    ],
)
def test_what_has_one_reading_passes(method: str, raw: bytes, name: str) -> None:
    assert read_target(raw, method).operation.name == name


def test_the_id_is_kept_as_it_came() -> None:
    assert read_target(b"/api/payin/subscriptions/a%2Fb?x=1", "PATCH").external_id == "a%2Fb"


@pytest.mark.parametrize(
    "raw",
    [
        b"/api/token/",
        b"/api/token",
        b"/api/token/refresh/",
        b"/api/token/refresh",
        b"/api/token/verify/",
        b"/api/token?x=1",
        b"/API/Token/",
        b"/api/TOKEN/Refresh",
        b"/api/token//",
        b"/api/token/.",
        b"/api/token/%2e",
        b"/api/token/;x",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
def test_the_token_endpoints_are_forbidden_in_plain_words(raw: bytes, method: str) -> None:
    with pytest.raises(OperationForbiddenError, match="token endpoints are the sidecar's own"):
        read_target(raw, method)


@pytest.mark.parametrize(
    "raw",
    [
        b"//api/token/",
        b"/api//token/",
        b"///api/token/",
        b"//host/api/token/",
        b"//host//api/token",
        b"/./api/token/",
        b"/x/../api/token/",
        b"/api/x/../token/",
        b"/api/%74oken/",
        b"/api/%2574oken/",
        b"/api%2Ftoken%2F",
        b"/%2Fapi/token/",
        b"/api%252Ftoken/",
        b"/api/x/%2e%2e/token/",
        b"/api/x/%252e%252e/token/",
        b"/api/x/..%2Ftoken/",
        b"/api/transactions/..%2Ftoken",
        b"/api/transactions/..%2f..%2fapi%2ftoken",
        b"/api/transactions/..%5Ctoken",
        b"/api\\token\\",
        b"/api%5Ctoken/",
        b"/api/token;x=1/",
        b"/api;x/token/",
        b"/api/token%3Bx/",
        b"/api/token%3Fx",
        b"/api/token%23x",
        b"/api/x/..;/token/",
        b"/api/x/.;a/../token/",
        b"/api/x//../token/",
        b"/api/x/%2e%2e;y/ToKeN%2F",
        b"/..//api/./token;/..;/token/refresh",
        b"/../api/token/",
    ],
)
def test_what_reaches_a_token_endpoint_in_another_reading_is_refused(raw: bytes) -> None:
    with pytest.raises(BadTargetError):
        read_target(raw, "POST")


@pytest.mark.parametrize(
    ("method", "raw"),
    [
        ("POST", b"/api/payou%74"),
        ("POST", b"/api/pay%6fut"),
        ("POST", b"//api/payout"),
        ("POST", b"/api//payout"),
        ("POST", b"/api/payout//"),
        ("POST", b"/api/./payout"),
        ("POST", b"/api/payout/."),
        ("POST", b"/api/x/../payout"),
        ("POST", b"/api/payout;x"),
        ("POST", b"/api/payout/;x"),
        ("POST", b"/api\\payout"),
        ("POST", b"/api%2Fpayout"),
        ("POST", b"/api/payout%2F"),
        ("POST", b"/api/payout%3Fx"),
        ("POST", b"//host/api/payout"),
        ("PATCH", b"/api/payin/subscriptions/s%2Fstatus"),
        ("PATCH", b"/api/payin/subscriptions/x%2F..%2F..%2Fy%2Frefund"),
        ("PATCH", b"/api/payin/capture/..%2Fx%2Frefund"),
        ("PATCH", b"/api/payin/x/%2e%2e/capture/y"),
        ("GET", b"/api/transactions/list%2Ffilter"),
        ("GET", b"/api/transactions/x%2Fstatus"),
        ("GET", b"/api/transactions/."),
        ("GET", b"/api/transactions/.."),
        ("GET", b"/api/transactions/%2e%2e"),
        ("GET", b"/api/transactions/a%2F..%2Fb%2Fc"),
        ("GET", b"/api/transactions/a\\b"),
        ("GET", b"/api/transactions/a%5Cb"),
        ("GET", b"/api/transactions/;a"),
        ("GET", b"/api/transactions/a%252Fb"),
        ("GET", b"/api/transactions/a%3F/status"),
        ("GET", b"/api/subscriptions/plan%2F7"),
    ],
)
def test_what_means_another_operation_in_another_reading_is_refused(method: str, raw: bytes) -> None:
    with pytest.raises(BadTargetError, match="read in more than one way"):
        read_target(raw, method)


@pytest.mark.parametrize(
    "raw", [b"/api/payin/capture/refund", b"/api/payin/capture/refund/?x", b"/api/payin/capture/%72efund"]
)
def test_a_path_that_fits_two_operations_is_refused(raw: bytes) -> None:
    with pytest.raises(BadTargetError):
        read_target(raw, "PATCH")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"*",
        b"api/payin",
        b"http://api.stage.localpayment.com/api/payin",
        b"HTTP://x/",
        b"host:443",
        b"?x",
        b"\\api",
        b"/a b",
        b"/a?b c",
        b"/a#b",
        b"/a?b#c",
        b"/a\x00",
        b"/a?\x00",
        b"/a\t",
        b"/a\r\nX: y",
        b"/a\n",
        b"/a\x7f",
        b"/a?\x7f",
        b"/\xc3\xa9",
        b"/a?\xff",
        b"/a\x80",
        b"/a%",
        b"/a%2",
        b"/a%zz",
        b"/a%u002f",
        b"/a%%32",
        b"/a%00",
        b"/a%0d%0aX",
        b"/a%1f",
        b"/a%7F",
        b"/a%2500",
        b"/a%250A",
    ],
)
def test_what_is_no_clean_origin_form_is_refused(raw: bytes) -> None:
    with pytest.raises(BadTargetError):
        read_target(raw, "GET")


def test_a_target_with_endless_readings_is_refused_and_soon() -> None:
    with pytest.raises(BadTargetError, match="read in more than one way"):
        read_target(b"/%255c..;a/%3b%252f//\\./x" * 200, "GET")


def test_a_refusal_does_not_repeat_the_target() -> None:
    for raw in (b"/secret-1#", b"/secret-1%zz", b"//api/token/secret-1", b"/api/token/secret-1"):
        with pytest.raises(RelayError) as refused:
            read_target(raw, "GET")
        assert "secret-1" not in str(refused.value)
