"""What a 401 of the API means for the token that it refused."""

from __future__ import annotations

import math

import pytest

from proxy.secret import Secret
from proxy.tokens.disputes import LOGIN_CODES, Dispute, Disputes, only_a_login_helps
from proxy.tokens.model import AccessToken, Grant, Issued, access_token


def token(grant: Grant = Grant.REFRESH, lifetime: float = 300.0) -> AccessToken:
    return access_token(Issued(Secret("t"), lifetime, None, 0.0, 1000.0, 1.0, None), 2, grant, 0.5)


def test_three_forced_fetches_are_allowed_in_any_minute() -> None:
    disputes = Disputes()
    verdicts = [disputes.judge(at, None, forced=False) for at in (0.0, 10.0, 20.0, 59.9, 60.0, 69.9, 70.0, 80.0, 80.1)]
    renewing, given_up = Dispute.RENEWING, Dispute.GIVEN_UP
    assert verdicts == [renewing] * 3 + [given_up, renewing, given_up, renewing, renewing, given_up]


def test_a_refusal_while_a_newer_one_is_fetched_already_costs_nothing() -> None:
    disputes = Disputes()
    assert [disputes.judge(0.0, None, forced=True) for _ in range(10)] == [Dispute.RENEWING] * 10
    assert [disputes.judge(0.0, None, forced=False) for _ in range(3)] == [Dispute.RENEWING] * 3


@pytest.mark.parametrize(("lifetime", "lag"), [(300.0, 2.0), (20.0, 2.0), (5.0, 0.5), (1.0, 0.1)])
def test_a_token_just_handed_over_is_given_time_to_be_known_everywhere(lifetime: float, lag: float) -> None:
    disputes = Disputes()
    disputes.put_in_use(token(lifetime=lifetime), 1001.0, handed_over=True)
    assert disputes.lag_ends_at == 1001.0 + lag
    assert disputes.judge(1001.0 + lag - 0.01, None, forced=False) is Dispute.LAGGING
    assert disputes.judge(1001.0 + lag, None, forced=False) is Dispute.RENEWING


def test_a_token_that_took_the_place_of_none_or_of_a_refused_one_is_given_no_time() -> None:
    disputes = Disputes()
    disputes.put_in_use(token(), 1001.0, handed_over=True)
    disputes.put_in_use(token(), 1001.0, handed_over=False)
    assert disputes.lag_ends_at == -math.inf
    assert disputes.judge(1001.1, "token_not_valid", forced=False) is Dispute.RENEWING


@pytest.mark.parametrize("code", sorted(LOGIN_CODES))
def test_a_code_about_the_user_is_never_a_node_that_lags_behind(code: str) -> None:
    disputes = Disputes()
    disputes.put_in_use(token(), 1001.0, handed_over=True)
    assert disputes.judge(1001.1, code, forced=False) is Dispute.RENEWING


@pytest.mark.parametrize("code", sorted(LOGIN_CODES))
@pytest.mark.parametrize("grant", Grant)
def test_for_a_code_about_the_user_only_a_login_helps(code: str, grant: Grant) -> None:
    assert only_a_login_helps(token(grant), 1250.0, code)


@pytest.mark.parametrize(
    ("grant", "age", "login"),
    [
        (Grant.REFRESH, 0.1, True),
        (Grant.REFRESH, 29.9, True),
        (Grant.REFRESH, 30.0, False),
        (Grant.PASSWORD, 0.1, False),
    ],
)
@pytest.mark.parametrize("code", [None, "token_not_valid"])
def test_a_refreshed_token_that_is_refused_at_once_means_login(
    grant: Grant, age: float, code: str | None, *, login: bool
) -> None:
    assert only_a_login_helps(token(grant), 1000.0 + age, code) is login
