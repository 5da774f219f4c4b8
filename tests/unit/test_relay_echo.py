"""A token in an answer is found wherever it lies, and masking it changes no length and delays no other byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.relay.response.token_echo import LOOKED_AT, Echo, mask

TOKEN = b"eyJhbGciOiJIUzI1NiJ9.eyJqdGkiOiJpbnZlbnRlZCJ9.c2lnbmF0dXJl"
FIELDS = [(b"Content-Type", b"text/html"), (b"X-Debug", b"Authorization: Bearer " + TOKEN), (b"ETag", TOKEN[:-1])]


def through(echo: Echo, *pieces: bytes) -> bytes:
    return b"".join([*map(echo.piece, pieces), echo.rest()])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cuts", [[], [1], [20], [30], [59], [20, 21], list(range(1, 70))])
def test_a_token_is_found_whatever_the_borders_of_the_pieces(*, masked: bool, cuts: list[int]) -> None:
    body = b"before " + TOKEN + b" after"
    pieces = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    echo = Echo(TOKEN, masked=masked)
    assert through(echo, *pieces) == (b"before " + mask(TOKEN) + b" after" if masked else body)
    assert echo.found == "body"


def test_without_masking_no_byte_waits() -> None:
    echo = Echo(TOKEN, masked=False)
    assert echo.piece(b"x" + TOKEN[:10]) == b"x" + TOKEN[:10]
    assert echo.piece(TOKEN[10:]) == TOKEN[10:]
    assert (echo.found, echo.rest()) == ("body", b"")


def test_with_masking_only_what_may_be_the_tokens_beginning_waits() -> None:
    echo = Echo(TOKEN, masked=True)
    assert echo.piece(b"data eyJ") == b"data "
    assert echo.piece(b"no token") == b"eyJno token"
    assert echo.piece(b"eyeyJ") == b"ey"
    assert echo.rest() == b"eyJ"
    assert echo.found == ""


@pytest.mark.parametrize("masked", [False, True])
def test_a_token_in_a_field_is_found_and_masked_where_it_stands(*, masked: bool) -> None:
    echo = Echo(TOKEN, masked=masked)
    passed = dict(echo.headers(FIELDS))
    assert echo.found == "header"
    assert passed[b"X-Debug"] == b"Authorization: Bearer " + (mask(TOKEN) if masked else TOKEN)
    assert passed[b"ETag"] == TOKEN[:-1]
    echo.piece(TOKEN)
    assert echo.found == "header", "where it was found first"


def test_an_answer_without_the_token_is_passed_on_as_it_is() -> None:
    echo = Echo(TOKEN, masked=True)
    fields = FIELDS[:1]
    assert echo.headers(fields) is fields
    assert through(echo, b"a body", b" of eyJ pieces", TOKEN[1:]) == b"a body of eyJ pieces" + TOKEN[1:]
    assert echo.found == ""


def test_a_call_without_a_token_of_ours_is_not_looked_at() -> None:
    echo = Echo(None, masked=True)
    assert echo.headers(FIELDS) is FIELDS
    assert through(echo, TOKEN) == TOKEN
    assert echo.found == ""


@pytest.mark.parametrize("masked", [False, True])
def test_a_token_beyond_the_first_64_kib_is_not_looked_for(*, masked: bool) -> None:
    within, beyond = Echo(TOKEN, masked=masked), Echo(TOKEN, masked=masked)
    start = b"x" * (LOOKED_AT - 1)
    assert len(through(within, start, TOKEN[:5], TOKEN[5:])) == len(start + TOKEN)
    assert within.found == "body", "what begins within is found"
    assert through(beyond, start, b"x" * (len(TOKEN) + 1), TOKEN).endswith(TOKEN)
    assert beyond.found == ""


def test_a_mask_says_so_and_is_as_long_as_what_it_hides() -> None:
    assert mask(TOKEN) == b"[redacted]" + b"*" * (len(TOKEN) - 10)
    assert mask(b"short") == b"[reda"


@given(
    body=st.lists(st.sampled_from([TOKEN, TOKEN[:7], TOKEN[7:], b"e", b"ey", b"\n", b"other"]), max_size=12),
    cuts=st.lists(st.integers(1, 40), max_size=40),
    masked=st.booleans(),
)
def test_however_a_body_is_cut_the_same_bytes_come_out(body: list[bytes], cuts: list[int], *, masked: bool) -> None:
    whole, pieces, at = b"".join(body), [], 0
    for length in [*cuts, len(whole)]:
        pieces.append(whole[at : at + length])
        at += length
    echo = Echo(TOKEN, masked=masked)
    assert through(echo, *pieces) == (whole.replace(TOKEN, mask(TOKEN)) if masked else whole)
    assert (echo.found == "body") == (TOKEN in whole)
