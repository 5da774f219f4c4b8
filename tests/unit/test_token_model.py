"""A token's moments on our clock, and what may be read out of an answer."""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

import jwt
import pytest

from proxy.secret import Secret
from proxy.tokens.model import (
    DATE_UNCERTAINTY,
    LOCAL_UNCERTAINTY,
    Claims,
    Grant,
    Issued,
    UnusableTokenError,
    access_token,
    claims,
    read_answer,
    refresh_token,
)

NOW = 1_800_000_000
KEY = "k" * 32


def signed(**claims: Any) -> str:
    return jwt.encode({"token_type": "access", **claims}, KEY, algorithm="HS256")


def with_payload(payload: str) -> str:
    """A JWT with any text as its claims, which no library would write."""
    parts = [base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in ('{"alg":"HS256"}', payload)]
    return ".".join([*parts, "c2ln"])


def issued(lifetime: float, uncertainty: float = DATE_UNCERTAINTY, refresh_lifetime: float = 0.0) -> Issued:
    return Issued(Secret("text"), lifetime, None, refresh_lifetime, 1000.0, uncertainty, 0.0)


def read(body: object, date: float | None = NOW, wall: float = NOW) -> Issued:
    return read_answer(body, sent_at=1000.0, wall=wall, date=date)


def test_a_documented_tokens_moments_are_those_of_the_design() -> None:
    earliest = access_token(issued(300.0), 7, Grant.REFRESH, chance=1.0)
    latest = access_token(issued(300.0), 7, Grant.REFRESH, chance=0.0)
    assert (earliest.refresh_at, latest.refresh_at) == (1135.0, 1180.0)
    assert (latest.join_at, latest.stop_at, latest.expires_at) == (1270.0, 1297.0, 1300.0)
    assert (latest.header, latest.generation, latest.grant, latest.sent_at) == (
        b"Bearer text",
        7,
        Grant.REFRESH,
        1000.0,
    )


@pytest.mark.parametrize(
    ("lifetime", "uncertainty", "join", "stop"),
    [
        (300.0, LOCAL_UNCERTAINTY, 270.0, 295.0),
        (300.0, 0.0, 270.0, 298.0),
        (86400.0, DATE_UNCERTAINTY, 86370.0, 86397.0),
        (60.0, DATE_UNCERTAINTY, 50.0, 57.0),
        (30.0, DATE_UNCERTAINTY, 20.0, 27.0),
        (12.0, DATE_UNCERTAINTY, 8.0, 9.6),
        (3.0, DATE_UNCERTAINTY, 2.0, 2.4),
        (1.0, DATE_UNCERTAINTY, 2 / 3, 0.8),
    ],
)
def test_the_moments_are_fractions_so_that_short_lived_tokens_are_used_too(
    lifetime: float, uncertainty: float, join: float, stop: float
) -> None:
    token = access_token(issued(lifetime, uncertainty), 1, Grant.PASSWORD, chance=0.5)
    assert token.join_at == pytest.approx(1000.0 + join)
    assert token.stop_at == pytest.approx(1000.0 + stop)
    assert token.refresh_at == pytest.approx(1000.0 + 0.525 * lifetime)
    assert token.sent_at < token.refresh_at < token.join_at < token.stop_at < token.expires_at


def test_the_early_login_falls_in_80_to_92_percent_of_the_refresh_tokens_life() -> None:
    of = issued(300.0, refresh_lifetime=86400.0)
    first, last = (refresh_token(Secret("r"), of, chance=chance) for chance in (0.0, 1.0))
    assert first.login_at == pytest.approx(1000.0 + 0.80 * 86400)
    assert last.login_at == pytest.approx(1000.0 + 0.92 * 86400)
    assert first.expires_at == last.expires_at == 87400.0


def test_the_lifetime_is_counted_by_the_servers_date_and_anchored_before_the_request() -> None:
    body = {"access": signed(exp=NOW + 300), "refresh": signed(exp=NOW + 86400)}
    answer = read(body, date=NOW + 1, wall=NOW - 600)
    assert (answer.access_lifetime, answer.refresh_lifetime, answer.sent_at) == (299.0, 86399.0, 1000.0)
    assert (answer.uncertainty, answer.skew) == (DATE_UNCERTAINTY, 601)
    assert answer.access.reveal() == body["access"]
    assert answer.refresh is not None
    assert answer.refresh.reveal() == body["refresh"]


def test_without_a_date_our_wall_clock_stands_in_and_is_trusted_less() -> None:
    answer = read({"access": signed(exp=NOW + 300)}, date=None, wall=NOW + 100)
    assert (answer.access_lifetime, answer.uncertainty, answer.skew) == (200.0, LOCAL_UNCERTAINTY, None)
    assert (answer.refresh, answer.refresh_lifetime) == (None, 0.0)


@pytest.mark.parametrize(
    ("exp", "lifetime"),
    [
        (NOW + 0.25, 1.0),
        (NOW + 1, 1.0),
        (NOW + 86400, 86400.0),
        (NOW + 86401, 86400.0),
        (10**17, 86400.0),
        (1e300, 86400.0),
    ],
)
def test_a_lifetime_is_clamped_to_a_second_and_a_day(exp: float, lifetime: float) -> None:
    assert read({"access": signed(exp=exp)}).access_lifetime == lifetime


AHEAD, BEHIND = NOW + 300, NOW - 300  # of the clock that makes the tokens


@pytest.mark.parametrize("ago", [None, 0, 80_000], ids=["no iat", "iat", "an old iat"])
@pytest.mark.parametrize("date", [AHEAD, AHEAD - 2, NOW + 86_400], ids=["at exp", "just before", "a day ahead"])
def test_a_date_that_leaves_a_token_no_life_yields_to_our_clock_where_that_gives_one(
    date: float, ago: int | None
) -> None:
    claims = {} if ago is None else {"iat": NOW - ago}
    answer = read({"access": signed(exp=NOW + 300, **claims), "refresh": signed(exp=NOW + 86400)}, date=date)
    assert (answer.access_lifetime, answer.uncertainty, answer.skew) == (300.0, LOCAL_UNCERTAINTY, date - NOW)
    assert answer.refresh is not None


@pytest.mark.parametrize("ago", [None, 0], ids=["no iat", "iat"])
def test_a_date_that_lags_gives_no_token_more_than_its_claims_or_our_clock_do(ago: int | None) -> None:
    claims = {} if ago is None else {"iat": NOW - ago}
    assert read({"access": signed(exp=NOW + 300, **claims)}, date=BEHIND).access_lifetime == 300.0


@pytest.mark.parametrize("wall", [NOW - 86_400, NOW + 290, NOW + 400, NOW + 86_400])
@pytest.mark.parametrize("ago", [None, 0], ids=["no iat", "iat"])
def test_our_own_clock_may_be_wrong_by_any_amount_where_there_is_a_date(wall: float, ago: int | None) -> None:
    claims = {} if ago is None else {"iat": NOW - ago}
    assert read({"access": signed(exp=NOW + 300, **claims)}, wall=wall).access_lifetime == 300.0


def test_without_a_date_and_with_a_wrong_clock_the_tokens_own_claims_tell_its_life() -> None:
    assert read({"access": signed(exp=NOW + 240, iat=NOW)}, date=None, wall=NOW + 9000).access_lifetime == 240.0
    assert (
        read({"access": signed(exp=NOW + 240, iat=NOW - 80_000)}, date=None, wall=NOW + 9000).access_lifetime == 300.0
    )


@pytest.mark.parametrize("life", [0.5, 1.0, 3.0])
def test_a_life_that_both_clocks_call_short_is_short(life: float) -> None:
    assert read({"access": signed(exp=NOW + life, iat=NOW)}).access_lifetime == max(life, 1.0)


def test_an_old_iat_copied_into_a_new_token_changes_nothing() -> None:
    assert read({"access": signed(exp=NOW + 300, iat=NOW - 80000)}).access_lifetime == 300.0


@pytest.mark.parametrize("late", [0, 1, 100_000])
def test_a_token_that_is_dead_by_the_servers_own_clock_is_none(late: int) -> None:
    with pytest.raises(UnusableTokenError, match="had expired before it arrived"):
        read({"access": signed(exp=NOW - late)})


def test_a_token_that_only_our_own_clock_calls_dead_gets_the_shortest_life() -> None:
    assert read({"access": signed(exp=NOW - 600)}, date=None).access_lifetime == 1.0


NO_TOKEN: list[object] = [
    None,
    [],
    "access",
    3,
    {},
    {"access": None},
    {"access": 5},
    {"access": ["a"]},
    {"access": {"token": "a"}},
    {"access": ""},
    {"refresh": "r"},
]


@pytest.mark.parametrize("body", NO_TOKEN, ids=repr)
def test_a_body_without_an_access_token_is_told_so(body: object) -> None:
    with pytest.raises(UnusableTokenError, match=r"not a JSON object|no access token"):
        read(body)


@pytest.mark.parametrize("spoiler", [" ", "\n", "\r\nX-Injected: 1", "\x00", "é", "\x7f", "\u2028"], ids=ascii)
def test_a_token_that_could_break_a_header_field_is_none(spoiler: str) -> None:
    with pytest.raises(UnusableTokenError, match="header field"):
        read({"access": signed(exp=NOW + 300) + spoiler})


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "a.b.c",
        "..",
        with_payload("{}"),
        with_payload('{"exp": "1800000300"}'),
        with_payload('{"exp": null}'),
        with_payload('{"exp": true}'),
        with_payload('{"exp": [1800000300]}'),
        with_payload('{"exp": NaN}'),
        with_payload('{"exp": Infinity}'),
        with_payload('{"exp": 1e999}'),
        with_payload('{"exp": 1' + "0" * 400 + "}"),
        with_payload('{"exp": 1' + "0" * 5000 + "}"),
        with_payload("[1]"),
        with_payload("not json"),
        with_payload("[" * 40_000),
    ],
    ids=lambda text: text[:24],
)
def test_what_is_no_jwt_with_a_numeric_exp_is_no_access_token(text: str) -> None:
    assert claims(text) is None
    with pytest.raises(UnusableTokenError, match="not a JWT with a numeric exp"):
        read({"access": text})


@pytest.mark.parametrize("exp", [NOW, NOW + 0.5, 0, -1, 1e300])
def test_exp_is_read_from_an_unverified_expired_or_unknown_token(exp: float) -> None:
    assert claims(signed(exp=exp, nbf=NOW * 2, iat=NOW * 2, user_id=5, sub=5, aud=["x"])) == Claims(exp, NOW * 2)
    assert claims(with_payload(json.dumps({"exp": exp}))) == Claims(exp, None)


@pytest.mark.parametrize("text", ["\ud800", "a b", "r\n", "\x00", "é"], ids=ascii)
def test_a_refresh_token_of_characters_that_no_token_has_makes_the_answer_malformed(text: str) -> None:
    with pytest.raises(UnusableTokenError, match="no token has"):
        read({"access": signed(exp=NOW + 300), "refresh": text})


@pytest.mark.parametrize("junk", [None, 5, "", [], {}, True], ids=repr)
def test_a_junk_refresh_token_beside_a_good_access_token_is_ignored(junk: object) -> None:
    answer = read({"access": signed(exp=NOW + 300), "refresh": junk})
    assert (answer.refresh, answer.refresh_lifetime, answer.access_lifetime) == (None, 0.0, 300.0)


def test_a_refresh_token_that_is_dead_by_the_servers_own_clock_is_ignored() -> None:
    assert read({"access": signed(exp=NOW + 300), "refresh": signed(exp=NOW)}).refresh is None


def test_a_refresh_token_that_does_not_tell_its_life_gets_the_documented_one() -> None:
    access = signed(exp=NOW + 300)
    assert read({"access": access, "refresh": "opaque"}).refresh_lifetime == 86400.0
    only_our_clock = read({"access": access, "refresh": signed(exp=NOW - 5)}, date=None)
    assert only_our_clock.refresh_lifetime == 86400.0


def test_a_long_lived_refresh_token_is_believed() -> None:
    assert (
        read({"access": signed(exp=NOW + 300), "refresh": signed(exp=NOW + 30 * 86400)}).refresh_lifetime == 2592000.0
    )


def test_nothing_that_prints_a_token_value_shows_its_text() -> None:
    answer = read({"access": signed(exp=NOW + 300), "refresh": signed(exp=NOW + 86400)})
    assert answer.refresh is not None
    access = access_token(answer, 1, Grant.PASSWORD, 0.5)
    refresh = refresh_token(answer.refresh, answer, 0.5)
    shown = f"{answer} {access} {refresh} {answer!r} {access!r} {refresh!r}"
    for text in (answer.access.reveal(), answer.refresh.reveal()):
        assert text not in shown
        assert text.split(".")[1] not in shown
    with pytest.raises(TypeError):
        pickle.dumps(refresh)


def test_an_unusable_answer_is_told_without_quoting_it() -> None:
    with pytest.raises(UnusableTokenError) as caught:
        read({"access": "s3cret.s3cret.s3cret", "refresh": "s3cret"})
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value)
