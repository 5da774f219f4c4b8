"""A target means the same to all who may read it, or it is refused; what passes is never touched."""

from __future__ import annotations

import pytest

from proxy.api.target import read_target
from proxy.errors import BadTargetError, OperationForbiddenError, RelayError


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
        ("GET", b"/api/transactions/ORDER-1", "get_transaction"),
        ("PATCH", b"/api/payin/Order-1.A/refund", "refund_payin"),
        ("GET", b"/api/transactions/order.1", "get_transaction"),
        ("GET", b"/api/transactions/a+", "get_transaction"),
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
        ("OPTIONS", b"/api/Payin", "other"),
        ("GET", b"/api/token-x", "other"),
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
    ("method", "raw", "name"),
    [
        ("POST", b"/api/payout/Authorize", "authorize_payouts"),
        ("POST", b"/api/payout/authorize.", "authorize_payouts"),
        ("POST", b"/api/payout/authorize%2e", "authorize_payouts"),
        ("POST", b"/api/payout/authorize%20", "authorize_payouts"),
        ("POST", b"/api/payout/authorize%252e", "authorize_payouts"),
        ("POST", b"/api/payout/authorize+", "authorize_payouts"),
        ("POST", b"/api/payout/%20authorize/", "authorize_payouts"),
        ("POST", b"/api/payout/authorize.%20./", "authorize_payouts"),
        ("POST", b"/api/payout/authorize.json", "authorize_payouts"),
        ("POST", b"/api/payout/authorize%2Ejson?x", "authorize_payouts"),
        ("POST", b"/api/payout./authorize", "authorize_payouts"),
        ("POST", b"/api/payout/%61uthorize;x=%20", "authorize_payouts"),
        ("POST", b"/api/payout%EF%BC%8Fauthorize", "authorize_payouts"),
        ("POST", b"/api/payout%E2%88%95authorize", "authorize_payouts"),
        ("POST", b"/api/payout/%EF%BD%81uthorize", "authorize_payouts"),
        ("POST", b"/api/payout/%EF%BC%A1UTHORIZE", "authorize_payouts"),
        ("POST", b"/api/payout/authorize%EF%BC%8E", "authorize_payouts"),
        ("POST", b"/api/payout/author%C4%B1ze", "authorize_payouts"),
        ("POST", b"/api/payout/%C3%A1uthorize", "authorize_payouts"),
        ("POST", b"/api/payout/%25EF%25BD%2581uthorize", "authorize_payouts"),
        ("POST", b"/api/Payout", "create_payout"),
        ("POST", b"/API/PAYOUT/", "create_payout"),
        ("POST", b"/Currency-Exchange", "exchange_currency"),
        ("POST", b"/api/payin/Subscriptions/x", "update_subscription"),
        ("PATCH", b"/api/payin/Order-1/Refund", "refund_payin"),
        ("GET", b"/API/transactions/x", "get_transaction"),
        ("GET", b"/api/subscriptions/Plan", "list_plans"),
        ("GET", b"/api/subscriptions/plan.", "list_plans"),
        ("GET", b"/api/transactions/...", "other"),
        ("GET", b"/api/transactions/%20", "other"),
        ("GET", b"/api/transactions/a%EF%BC%8Fb", "other"),
    ],
)
def test_another_spelling_of_an_operation_is_refused_and_the_refusal_names_it(
    method: str, raw: bytes, name: str
) -> None:
    with pytest.raises(BadTargetError, match=f"read in more than one way, also as {name}:"):
        read_target(raw, method)


@pytest.mark.parametrize(
    "raw",
    [
        b"/api/token.",
        b"/api/token./",
        b"/api/token/.",
        b"/api/token%2e",
        b"/api/token%20",
        b"/api/token+",
        b"/api/token%20/",
        b"/api/token/%20",
        b"/api/token%252e",
        b"/api/%20token/",
        b"/api./token/",
        b"/api%20/Token/",
        b"/api/token.json",
        b"/api/token.json/",
        b"/api/token:x",
        b"/api/token,x",
        b"/api/token~",
        b"/api/token::$DATA",
        b"/api/t%6Fken/",
        b"/api/%54OKEN",
        b"/api%EF%BC%8Ftoken",
        b"/api/%EF%BD%94oken",
        b"/api/to%E2%84%AAen",
        b"/api/to%E2%84%AAen%EF%BC%8E/",
        b"/ap%C4%B1/token/",
        b"/api/tok%C3%A9n/",
        b"/api/..%20/api/token/",
        b"/api/token/refresh%2e",
        b"/api/token%00",
        b"/api/token%00/",
        b"/api/to%C2%ADken/",
        b"/api/token%E2%80%8B",
        b"/api/token%C2%A0",
        b"/api/token%C2%85",
        b"/api%c0%aftoken/",
        b"/api/%c1%b4oken/",
        b"/api/%e0%81%b4oken/",
        b"/api/token%c0%ae",
    ],
)
def test_another_spelling_of_a_token_endpoint_is_refused(raw: bytes) -> None:
    for method in ("POST", "GET", "OPTIONS"):
        with pytest.raises((BadTargetError, OperationForbiddenError)):
            read_target(raw, method)


@pytest.mark.parametrize("raw", [b"/a%ff", b"/a%C0%AF", b"/a%ED%A0%80", b"/a%25FF", b"/a%E2%80%A8", b"/a%C2%AD"])
def test_an_escape_that_servers_read_as_they_like_is_refused(raw: bytes) -> None:
    with pytest.raises(BadTargetError, match="not UTF-8"):
        read_target(raw, "GET")


@pytest.mark.parametrize(
    "raw",
    [
        b"/api/payin/capture/refund",
        b"/api/payin/capture/refund/?x",
        b"/api/payin/capture/%72efund",
        b"/api/payin/capture/Refund",
    ],
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
