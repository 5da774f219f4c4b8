"""A parameter that some frameworks take for the method is found however it is written, and nothing else is."""

from __future__ import annotations

import pytest

from proxy.api.method_override import names_method
from proxy.api.target import read_target
from proxy.errors import BadTargetError


@pytest.mark.parametrize(
    "text",
    [
        b"_method=DELETE",
        b"_method",
        b"a=1&_METHOD=x",
        b"a=1;_method=x",
        b"a=1&+_method[]=x",
        b"%5Fmethod=1",
        b"_%6Dethod%3Dx",
        b'{"_method": "DELETE"}',
        b'{"amount": 1, "_Method" : "DELETE"}',
        b'{"\\u005fmethod":1}',
        b'{"_m\\u0065thod":1}',
        b'--x\r\nContent-Disposition: form-data; name="_method"\r\n\r\nDELETE\r\n--x--',
        b"--x\r\nContent-Disposition: form-data; name=_method\r\n\r\nDELETE\r\n--x--",
    ],
)
def test_a_method_in_a_query_or_body_is_found(text: bytes) -> None:
    assert names_method(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"page=1&method=x",
        b"a_method=1",
        b"note=_method",
        b'{"payment_method": "PIX", "comment": "_method", "name": "Jos\\u00e9", "note": "100%"}',
        b'{"comment": "\\"_method\\": x"}',
        b"\xff\x00_method\x00",
    ],
)
def test_what_only_resembles_it_passes(text: bytes) -> None:
    assert not names_method(text)


@pytest.mark.parametrize("query", [b"_method=DELETE", b"a=1&%5fmethod=PATCH"])
@pytest.mark.parametrize("path", [b"/api/payout", b"/api/unheard/of", b"/api/transactions/a%2Fb"])
def test_a_target_whose_query_names_a_method_is_refused(path: bytes, query: bytes) -> None:
    with pytest.raises(BadTargetError, match="would override the method"):
        read_target(path + b"?" + query, "POST")
