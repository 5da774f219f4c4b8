"""Whatever a token endpoint answers: it is a token that can be used, or a failure that is told in words of ours."""

from __future__ import annotations

import json
import math
from typing import Any

import hypothesis.strategies as st
from hypothesis import example, given, settings

from proxy.ops.logs.redaction import KnownSecrets
from proxy.secret import Secret
from proxy.tokens.issuer import FetchFailedError, FetchResult, http_date, read_body, seconds_to_wait
from proxy.tokens.lifetimes import MAX_LIFETIME, Clocks, lifetime
from proxy.tokens.model import Grant, access_token, refresh_token
from tests.support.fuzzed_tokens import ODD_VALUES, jwt_of

NOW = 1_800_000_000.0
# Lone surrogates too: JSON can spell them.
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(10**400), NOW + 300]))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, st.sampled_from(ODD_VALUES))
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
TOKENS = st.builds(jwt_of, st.fixed_dictionaries({"exp": SCALARS}, optional={"iat": SCALARS, "nbf": SCALARS}) | JSON)
PAIRS = st.fixed_dictionaries({"access": TOKENS | JSON}, optional={"refresh": TOKENS | JSON})
MOMENTS = st.floats(0, 4e9)


def read(body: bytes, date: float | None, wall: float = NOW) -> FetchFailedError | None:
    """Read a body as the issuer does, and take what it gives over; return why it gives nothing."""
    try:
        issued = read_body(body, sent_at=1000.0, wall=wall, date=date)
    except FetchFailedError as error:
        return error
    token = access_token(issued, 1, Grant.REFRESH, 0.5)
    assert token.header.decode("ascii").isprintable()
    assert 0 < token.expires_at - token.sent_at <= MAX_LIFETIME
    if issued.refresh is not None:
        assert math.isfinite(refresh_token(issued.refresh, issued, 0.5).expires_at)
        assert issued.refresh == Secret(issued.refresh.reveal())
    KnownSecrets().learn(issued.access, issued.refresh)
    return None


@settings(max_examples=400)
@given(body=PAIRS | JSON, date=st.none() | MOMENTS, wall=MOMENTS)
@example(body={"access": jwt_of({"exp": NOW + 300}), "refresh": "\ud800"}, date=NOW, wall=NOW)
@example(body={"access": jwt_of({"exp": NOW + 300}), "refresh": jwt_of({"exp": 10**400})}, date=None, wall=NOW)
def test_any_json_is_a_token_or_malformed(body: Any, date: float | None, wall: float) -> None:
    error = read(json.dumps(body).encode(), date, wall)
    assert error is None or error.result is FetchResult.MALFORMED


@settings(max_examples=400)
@given(body=st.binary(max_size=300), date=st.none() | MOMENTS)
def test_any_bytes_are_malformed_at_worst(body: bytes, date: float | None) -> None:
    error = read(body, date)
    assert error is None or error.result is FetchResult.MALFORMED


@settings(max_examples=400)
@given(value=st.text(max_size=40) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} -?\d{1,6} \d+:\d+:\d+ .{0,6}"))
def test_any_field_is_a_moment_or_none_and_a_bounded_wait(value: str) -> None:
    date = http_date(value)
    assert date is None or math.isfinite(date)
    assert 0.0 <= seconds_to_wait(value, NOW) < math.inf


@given(secret=TEXTS, line=TEXTS)
def test_any_text_may_be_a_secret_and_any_may_be_a_line(secret: str, line: str) -> None:
    known = KnownSecrets()
    known.keep(Secret(secret))
    known.learn(Secret(secret), None)
    assert len(secret) < 6 or secret not in known.redacted(f"{line} {secret}")
    assert Secret(secret) == Secret(secret)
    assert Secret(secret) != Secret(secret + "x")


@given(life=st.integers(10, 86400), skew=st.integers(-86400, 86400), issued_ago=st.none() | st.integers(0, 86400))
def test_a_token_is_never_thought_to_live_longer_than_its_own_iat_allows(
    life: int, skew: int, issued_ago: int | None
) -> None:
    iat = None if issued_ago is None else NOW - issued_ago
    found = lifetime(NOW + life, iat, Clocks(NOW, NOW + skew))
    assert iat is None or found.seconds <= NOW + life - iat
    assert found.seconds <= max(life, life - skew)
