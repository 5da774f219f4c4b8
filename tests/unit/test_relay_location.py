"""A reference to Localpayment's own origin becomes a path; no other changes, and none comes to name another host."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config import Origin
from proxy.relay.response.fields import headers_to_caller, is_plain_path, reference_to_caller

ORIGIN = Origin("api.localpayment.com", 443, tls=True)
LOCAL = Origin("127.0.0.1", 8000, tls=False)
SIX = Origin("::1", 8443, tls=True)


@pytest.mark.parametrize(
    ("reference", "origin", "expected"),
    [
        (b"https://api.localpayment.com/api/payout/1/?a=b#c", ORIGIN, b"/api/payout/1/?a=b#c"),
        (b"https://api.localpayment.com:443/api", ORIGIN, b"/api"),
        (b"https://api.localpayment.com:/api", ORIGIN, b"/api"),
        (b"HTTPS://API.LocalPayment.COM/api/X%2f", ORIGIN, b"/api/X%2f"),
        (b"https://api.localpayment.com./api", ORIGIN, b"/api"),
        (b"https://user:secret@api.localpayment.com/api", ORIGIN, b"/api"),
        (b"//api.localpayment.com/api", ORIGIN, b"/api"),
        (b"//api.localpayment.com:443/api", ORIGIN, b"/api"),
        (b"http://api.localpayment.com/api", ORIGIN, b"/api"),
        (b"http://api.localpayment.com:80/api", ORIGIN, b"/api"),
        (b"https://api.localpayment.com", ORIGIN, b"/"),
        (b"https://api.localpayment.com?a=b", ORIGIN, b"/?a=b"),
        (b"https://api.localpayment.com#c", ORIGIN, b"/#c"),
        (b"https://api.localpayment.com//evil.example/x", ORIGIN, b"/.//evil.example/x"),
        (b"https://api.localpayment.com/\\evil.example/x", ORIGIN, b"/./\\evil.example/x"),
        (b"https://api.localpayment.com\\evil.example/x", ORIGIN, b"/./\\evil.example/x"),
        (b"http://127.0.0.1:8000/api", LOCAL, b"/api"),
        (b"https://[::1]:8443/api", SIX, b"/api"),
        (b"//[::1]:8443", SIX, b"/"),
    ],
)
def test_localpayments_own_origin_is_taken_off(reference: bytes, origin: Origin, expected: bytes) -> None:
    assert reference_to_caller(reference, origin) == expected


@pytest.mark.parametrize(
    "reference",
    [
        *(b"", b"/", b"/api/x", b"api/x", b"?a", b"#b", b"https:/api", b"https:api", b"mailto:api.localpayment.com"),
        *(b"https://elsewhere.example/api", b"//elsewhere.example/api", b"https://api.localpayment.com.evil.example/"),
        *(b"https://evil.example/?https://api.localpayment.com/", b"https://api.localpayment.com@evil.example/"),
        *(
            b"https://api.localpayment.com:8443/api",
            b"http://api.localpayment.com:443/api",
            b"ftp://api.localpayment.com/",
        ),
        *(
            b"http://api.localpayment.com:8080/api",
            b"https://api.localpayment.com:x/",
            b"https:///api.localpayment.com/",
        ),
        *(
            b"https://api.localpayment.com:123456/",
            b" https://api.localpayment.com/",
            b"https://evil\\@api.localpayment.com/",
        ),
        *(b"https://\xe1pi.localpayment.com/", b"https://[::1]/", b"https://[api.localpayment.com]/"),
    ],
)
def test_any_other_stays_as_it_is(reference: bytes) -> None:
    assert reference_to_caller(reference, ORIGIN) == reference


PIECES = st.lists(
    st.sampled_from(
        [
            "https:",
            "http:",
            "//",
            "/",
            "\\",
            "api.localpayment.com",
            "evil.example",
            ":443",
            ":80",
            "@",
            "?",
            "#",
            "x",
            "..",
            "%2f",
        ]
    ),
    max_size=8,
).map("".join)


@example("https://api.localpayment.com//evil.example/")
@given(PIECES)
def test_none_comes_to_lead_to_another_host(reference: str) -> None:
    given_reference = reference.encode()
    told = reference_to_caller(given_reference, ORIGIN)
    if told == given_reference:
        return
    assert is_plain_path(told)
    followed = urlsplit(urljoin("http://sidecar:8080/api/here", told.decode()))
    assert followed.netloc == "sidecar:8080"
    assert reference_to_caller(told, ORIGIN) == told


def test_only_the_two_fields_that_are_followed_change() -> None:
    own = b"https://api.localpayment.com/api"
    fields = [(b"LOCATION", own), (b"Content-Location", own), (b"Link", own), (b"X-Location", own)]
    told = headers_to_caller(fields, origin=ORIGIN)
    assert told[:4] == [(b"LOCATION", b"/api"), (b"Content-Location", b"/api"), (b"Link", own), (b"X-Location", own)]
    assert headers_to_caller(fields) == fields
