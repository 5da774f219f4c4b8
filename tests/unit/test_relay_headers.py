"""What changes a call's meaning crosses unchanged and in order; what is ours, or between two hops, does not."""

from __future__ import annotations

import pytest

from proxy.config import Origin
from proxy.errors import BadRequestError
from proxy.relay.request.headers import own_authorization
from proxy.relay.response.fields import headers_to_caller
from tests.support.fields import to_caller, to_upstream, told

Fields = list[tuple[bytes, bytes]]
OURS = (b"Authorization", b"Bearer ours")
ID = (b"X-Request-Id", b"made")
VIA = (b"Via", b"1.1 localpayment-proxy")
ORIGIN = Origin("api.localpayment.com", 443, tls=True)


def sent(*fields: tuple[bytes, bytes]) -> Fields:
    return to_upstream(fields, authorization=b"Bearer ours", request_id=b"made")


def answered(*fields: tuple[bytes, bytes]) -> Fields:
    return [*headers_to_caller(fields, origin=ORIGIN), VIA]


def test_end_to_end_fields_cross_in_order_byte_for_byte() -> None:
    fields = [
        (b"X-Capture", b"true"),
        (b"x-client-CODE", b"  \xe9\t "),
        (b"Accept", b"application/json"),
        (b"X-Version", b""),
        (b"Accept", b"text/html"),
        (b"traceparent", b"anything"),
        (b"tracestate", b"a=b"),
        (b"X_Capture", b"false"),
        (b"X-Proxy-Keyring", b"1"),
        (b"Content-Encoding", b"gzip"),
    ]
    assert sent(*fields) == [*fields, ID, VIA, OURS]


@pytest.mark.parametrize(
    "name",
    [
        b"Connection", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Trailer", b"Transfer-Encoding", b"Upgrade",
        b"HTTP2-Settings", b"Authorization", b"AUTHORIZATION", b"Proxy-Authorization", b"Proxy-Anything", b"Forwarded",
        b"X-Forwarded-Method", b"X-Forwarded-Uri", b"X_Forwarded_Prefix",
        b"X-Forwarded-For", b"x-forwarded-for", b"X_Forwarded_For", b"X-Forwarded_Host", b"X-Real-IP", b"X_REAL_IP",
        b"Cookie", b"Host", b"Content-Length", b"Content_Length", b"Expect", b"X-Proxy-Key", b"x_proxy_key",
    ],
)  # fmt: skip
def test_what_is_ours_or_for_one_hop_never_reaches_localpayment(name: bytes) -> None:
    assert sent((b"A", b"1"), (name, b"close"), (b"B", b"2"), (name, b"te")) == [
        (b"A", b"1"),
        (b"B", b"2"),
        ID,
        VIA,
        OURS,
    ]


@pytest.mark.parametrize("value", [b"X-Hop", b"close, x-hop", b"close,X-HOP", b" ,\tX-Hop\t,", b"x_hop"])
def test_a_field_that_connection_names_stays_behind(value: bytes) -> None:
    assert sent((b"X-Hop", b"1"), (b"Connection", value), (b"A", b"1"), (b"x-hop", b"2")) == [
        (b"A", b"1"),
        ID,
        VIA,
        OURS,
    ]


@pytest.mark.parametrize(
    "value", [b"Authorization", b"close, authorization, Host, Content-Length, Transfer-Encoding", b"Cookie"]
)
def test_connection_cannot_take_away_what_is_ours(value: bytes) -> None:
    assert sent((b"Connection", value), (b"Authorization", b"Bearer theirs")) == [ID, VIA, OURS]


@pytest.mark.parametrize(
    "value", [b"X-Capture", b"close, x_capture", b"X-Client-Code", b"content-type", b"X-Request-Id"]
)
def test_connection_may_not_name_what_decides_a_calls_meaning(value: bytes) -> None:
    with pytest.raises(BadRequestError, match="changes the call's meaning"):
        sent((b"Connection", b"keep-alive"), (b"Connection", value), (b"X-Capture", b"true"))


@pytest.mark.parametrize(
    "name",
    [
        b"X-HTTP-Method-Override", b"X-HTTP-Method", b"x-http-verb", b"x-method-override", b"X-Original-Method",
        b"X-Original-URL", b"X-Original-URI", b"X-Rewrite-URL", b"X-Script-Name", b"X_Rewrite_URL", b"x_http_VERB",
        b"X_HTTP_Method_Override", b"X-HTTP_Method-Override", b"X_Original_Method", b"X_Script_Name",
    ],
)  # fmt: skip
def test_a_field_that_overrides_what_was_judged_is_refused(name: bytes) -> None:
    with pytest.raises(BadRequestError, match="override the method or path"):
        sent((name, b"DELETE"))


@pytest.mark.parametrize(
    "value",
    [b"1.1 localpayment-proxy", b"1.0 fred, HTTP/1.1\tLocalpayment-Proxy (comment)", b"1.1 localpayment-proxy:8080"],
)
def test_a_request_that_came_through_a_sidecar_is_a_loop(value: bytes) -> None:
    with pytest.raises(BadRequestError, match="through a sidecar already"):
        sent((b"Via", value))


def test_the_hops_before_us_stay_named_before_us() -> None:
    fields = [(b"Via", b"1.0 fred, 1.1 not-localpayment-proxy, x"), (b"A", b"1"), (b"Via", b"")]
    assert sent(*fields) == [*fields, ID, VIA, OURS]
    assert answered(*fields) == [*fields, VIA]


def test_via_names_the_version_that_was_spoken() -> None:
    expected = (b"Via", b"1.0 localpayment-proxy")
    assert expected in to_upstream([], authorization=None, request_id=b"i", http_1_1=False)


def test_without_an_authorization_of_ours_none_is_sent() -> None:
    fields = [(b"Authorization", b"Bearer theirs")]
    assert to_upstream(fields, authorization=None, request_id=b"made") == [ID, VIA]


@pytest.mark.parametrize("value", [b"a", b"!~", b"x" * 128])
def test_a_usable_request_id_is_kept_in_its_place(value: bytes) -> None:
    fields = [(b"x-request-id", value), (b"A", b"1")]
    assert sent(*fields) == [*fields, VIA, OURS]


@pytest.mark.parametrize(
    "fields",
    [
        [(b"X-Request-Id", b"")],
        [(b"X-Request-Id", b"x" * 129)],
        [(b"X-Request-Id", b"a b")],
        [(b"X-Request-Id", b"\xe9")],
        [(b"X-Request-Id", b"a"), (b"X-Request-Id", b"b")],
        [(b"X-Request-Id", b"a"), (b"x-request-id", b"a")],
        [(b"X-Request-Id", b"a"), (b"X_Request_Id", b"a")],
    ],
)
def test_an_unusable_request_id_gives_way_to_ours(fields: Fields) -> None:
    assert sent(*fields, (b"A", b"1")) == [(b"A", b"1"), ID, VIA, OURS]


def test_own_authorization_is_the_callers_only_one() -> None:
    assert own_authorization(told([(b"A", b"1"), (b"authorization", b"Bearer theirs")])) == b"Bearer theirs"
    assert own_authorization(told([(b"Authorization", b"a"), (b"Authorization", b"a")])) is None
    assert own_authorization(told([])) is None


def test_an_answers_fields_cross_in_order_byte_for_byte() -> None:
    fields = [
        (b"Content-Length", b"12"),
        (b"content-type", b"application/json"),
        (b"X-Frame-Options", b"DENY"),
        (b"Content-Encoding", b"gzip"),
        (b"WWW-Authenticate", b'Bearer realm="api"'),
        (b"Location", b"/elsewhere"),
        (b"X-A", b"\xe9"),
        (b"x-a", b""),
    ]
    assert answered(*fields) == [*fields, VIA]


@pytest.mark.parametrize(
    "name",
    [
        b"Connection", b"Keep-Alive", b"Proxy-Connection", b"Proxy-Authenticate", b"Proxy-Authentication-Info", b"TE",
        b"Trailer", b"Transfer-Encoding", b"Upgrade", b"Set-Cookie", b"SET-COOKIE2", b"Authorization",
    ],
)  # fmt: skip
def test_what_an_answer_says_to_one_hop_never_reaches_the_caller(name: bytes) -> None:
    assert answered((b"A", b"1"), (name, b"close"), (b"B", b"2")) == [(b"A", b"1"), (b"B", b"2"), VIA]


def test_an_answer_loses_what_connection_names_but_never_its_meaning() -> None:
    fields = [(b"Connection", b"close, X-Hop, Content-Length, Content-Type, Retry-After"), (b"X-Hop", b"1")]
    rest = [(b"Content-Length", b"3"), (b"Content-Type", b"text/plain"), (b"Retry-After", b"1")]
    assert answered(*fields, *rest) == [*rest, VIA]


def test_an_answer_carries_the_request_id_unless_it_has_one() -> None:
    assert to_caller([], ORIGIN, "made") == [ID, VIA]
    theirs = (b"x-request-id", b"theirs")
    assert to_caller([theirs, (b"A", b"1")], ORIGIN, "made") == [theirs, (b"A", b"1"), VIA]


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b"localpayment-proxy", None),
        (b"localpayment-proxy; error=connection_timeout", None),
        (b" \tLocalPayment-Proxy ;error=x", None),
        (b'"localpayment-proxy"; details="a, b"', None),
        (b'"local\\payment-proxy"', None),
        (b'edge;details="a, localpayment-proxy"', b'edge;details="a, localpayment-proxy"'),
        (b"edge; error=x ,  cdn", b"edge; error=x ,  cdn"),
        (b'edge; details="a \\", b", localpayment-proxy;error=y,cdn', b'edge; details="a \\", b", cdn'),
        (b"edge,localpayment-proxy", b"edge"),
        (b"localpayment-proxy-2", b"localpayment-proxy-2"),
        (b'edge; details="unfinished, localpayment-proxy', None),
        (b'"', None),
        (b"", None),
    ],
)
def test_an_answer_cannot_speak_in_our_name(value: bytes, left: bytes | None) -> None:
    kept = [] if left is None else [(b"Proxy-Status", left)]
    assert answered((b"Proxy-Status", value)) == [*kept, VIA]


def test_a_long_unreadable_proxy_status_costs_little() -> None:
    assert answered((b"Proxy-Status", b'a;"' + b'\\"a;' * 20_000)) == [VIA]
