"""Whatever a caller puts into its header, one Authorization goes out, ours, and nothing that should stay behind."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from proxy.config import Origin
from proxy.errors import BadRequestError
from proxy.relay.response.fields import headers_to_caller
from proxy.upstream.request import header_lines
from tests.support.fields import to_upstream

Fields = list[tuple[bytes, bytes]]

OURS: Final = b"Bearer ours"
ORIGIN: Final = Origin("api.localpayment.com", 443, tls=True)
STAYS: Final = [
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "authorization",
    "proxy-authorization", "proxy-x", "forwarded", "x-forwarded-for", "x-forwarded-x", "x-real-ip", "cookie", "host",
    "content-length", "expect", "x-proxy-key",
]  # fmt: skip
CROSSES: Final = [
    "x-capture",
    "x-client-code",
    "x-version",
    "accept",
    "content-type",
    "x-custom",
    "x-hop",
    "via",
    "x-request-id",
]


@st.composite
def cased(draw: st.DrawFn, name: str) -> bytes:
    letters = [draw(st.sampled_from([letter, letter.upper(), "_" if letter == "-" else letter])) for letter in name]
    return "".join(letters).encode()


NAMES: Final = st.one_of(st.sampled_from(STAYS + CROSSES).flatmap(cased), st.binary(max_size=12))
OPTIONS: Final = st.lists(st.sampled_from([*STAYS, *CROSSES, "close", "", " \t"]).flatmap(cased), max_size=4).map(
    b", ".join
)
VALUES: Final = st.one_of(OPTIONS, st.binary(max_size=20), st.just(b"1.1 localpayment-proxy"))
FIELDS: Final = st.lists(st.tuples(NAMES, VALUES), max_size=10)


def folded(name: bytes) -> str:
    return name.decode("latin-1").replace("_", "-").lower()


def named_by_connection(fields: Fields) -> set[str]:
    values = [value for name, value in fields if folded(name) == "connection"]
    return {folded(option.strip(b" \t")) for value in values for option in value.split(b",")} - {""}


def is_in_order(part: Fields, whole: Fields) -> bool:
    rest = iter(whole)
    return all(field in rest for field in part)


def sent(fields: Fields) -> Fields | None:
    try:
        return to_upstream(fields, authorization=OURS, request_id=b"made")
    except BadRequestError:
        return None


@given(FIELDS)
def test_exactly_one_authorization_goes_out_and_it_is_ours(fields: Fields) -> None:
    out = sent(fields)
    if out is not None:
        assert [value for name, value in out if folded(name) == "authorization"] == [OURS]


@given(FIELDS)
def test_whatever_the_pool_accepts_holds_one_authorization_line(fields: Fields) -> None:
    out = sent(fields)
    if out is None:
        return
    try:
        head = header_lines(out)
    except ValueError:
        return
    lines = [line.lower() for line in head.split(b"\r\n")]
    assert [line for line in lines if line.replace(b" ", b"").startswith(b"authorization:")] == [
        b"authorization: bearer ours"
    ]


@given(FIELDS)
def test_what_should_stay_behind_does_and_the_rest_crosses_in_order(fields: Fields) -> None:
    out = sent(fields)
    if out is None:
        return
    theirs = [field for field in out if field != (b"Authorization", OURS)]
    assert not [
        name for name, _ in theirs if folded(name) in STAYS or folded(name).startswith(("proxy-", "x-forwarded-"))
    ]
    named = named_by_connection(fields)
    assert not [name for name, _ in out[:-2] if folded(name) in named]
    crossing = [
        field for field in fields if folded(field[0]) in {"x-capture", "x-client-code", "accept", "content-type"}
    ]
    assert [field for field in out if field in crossing] == crossing
    assert is_in_order(
        [field for field in out if field in fields and field[0] not in {b"Via", b"X-Request-Id"}], fields
    )


@given(FIELDS)
def test_a_hold_never_loses_what_makes_it_one(fields: Fields) -> None:
    out = sent([*fields, (b"X-Capture", b"true")])
    assert out is None or (b"X-Capture", b"true") in out


@given(FIELDS)
def test_an_answer_crosses_without_what_is_not_for_the_caller(fields: Fields) -> None:
    out = headers_to_caller(fields, origin=ORIGIN)
    kept = {folded(name) for name, _ in out} - {"proxy-status"}
    assert not kept & {
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "set-cookie",
        "authorization",
    }
    assert not [name for name in kept if name.startswith("proxy-")]
    lengths = [field for field in fields if folded(field[0]) == "content-length"]
    assert [field for field in out if folded(field[0]) == "content-length"] == lengths


MEMBERS: Final = st.sampled_from(
    [
        "localpayment-proxy",
        "LOCALPAYMENT-proxy; error=x",
        '"localpayment-proxy"',
        'edge; details="a, localpayment-proxy"',
        "cdn;a=b",
        'x;d="\\""',
    ]
)


@given(st.lists(MEMBERS, max_size=5))
def test_only_members_that_bear_our_name_are_taken_from_a_proxy_status(members: list[str]) -> None:
    out = headers_to_caller([(b"Proxy-Status", ", ".join(members).encode())])
    honest = ", ".join(member for member in members if not member.strip('"').lower().startswith("localpayment"))
    assert [value.decode() for name, value in out if name == b"Proxy-Status"] == ([honest] if honest else [])


@given(st.binary(max_size=40))
def test_no_bytes_make_a_proxy_status_speak_in_our_name(value: bytes) -> None:
    for text in (
        value,
        value + b", localpayment-proxy",
        b"localpayment-proxy;" + value,
        value + b"localpayment-proxy" + value,
    ):
        for name, kept in headers_to_caller([(b"Proxy-Status", text)]):
            assert name != b"Via"
            assert not kept.strip().lower().startswith((b"localpayment-proxy;", b'"localpayment-proxy"'))
