"""Whose a refusal is: the token's, or the path's that answered so."""

from __future__ import annotations

import pytest

from proxy.api.operations import OTHER, Match
from proxy.api.target import read_target
from proxy.relay.auth_refusal import KEPT, MOST, Refusals, path_of

HERE, THERE = "get_balance", b"/api/odd"


@pytest.fixture
def refusals() -> Refusals:
    made = Refusals()
    made.refused(HERE, 3, 100.0)
    return made


def test_as_long_as_nothing_was_refused_there_is_no_doubt() -> None:
    assert not Refusals().doubts
    assert not Refusals().is_own(HERE, 1, 0.0)
    assert not Refusals().accepted(HERE, 1, 0.0)


def test_a_refusal_is_the_tokens_until_that_token_works_elsewhere(refusals: Refusals) -> None:
    assert not refusals.is_own(HERE, 3, 101.0)
    assert refusals.accepted(THERE, 3, 100.5)
    assert refusals.is_own(HERE, 3, 101.0)
    assert refusals.is_own(HERE, 9, 101.0), "and so it is for the tokens to come"
    assert not refusals.is_own(THERE, 3, 101.0)


def test_a_newer_token_that_works_elsewhere_shows_it_once_it_is_refused_too(refusals: Refusals) -> None:
    assert not refusals.accepted(THERE, 4, 100.5)
    assert not refusals.is_own(HERE, 3, 101.0), "late news about the token before"
    assert refusals.is_own(HERE, 4, 101.0)


def test_an_older_token_and_a_call_that_had_begun_before_show_nothing(refusals: Refusals) -> None:
    assert not refusals.accepted(THERE, 2, 100.5)
    assert not refusals.accepted(THERE, 3, 99.9)
    assert not refusals.accepted(HERE, 3, 99.9)
    assert not refusals.is_own(HERE, 3, 101.0)


def test_a_path_that_succeeds_is_in_doubt_no_more(refusals: Refusals) -> None:
    refusals.accepted(THERE, 3, 100.5)
    assert refusals.accepted(HERE, 3, 102.0)
    assert not refusals.doubts


def test_many_refusals_of_one_token_count_from_the_first(refusals: Refusals) -> None:
    """A path that is called without a pause would else be refused after any other call had begun."""
    for at in range(101, 110):
        refusals.refused(HERE, 3, float(at))
    assert refusals.accepted(THERE, 3, 105.0)
    assert refusals.is_own(HERE, 3, 110.0)


def test_a_newer_token_that_is_refused_must_work_elsewhere_itself(refusals: Refusals) -> None:
    refusals.refused(HERE, 4, 101.0)
    assert not refusals.accepted(THERE, 3, 102.0)
    assert not refusals.is_own(HERE, 4, 103.0)
    assert refusals.accepted(THERE, 4, 102.0)
    assert refusals.is_own(HERE, 4, 103.0)


def test_what_was_long_ago_says_nothing(refusals: Refusals) -> None:
    refusals.accepted(THERE, 3, 100.5)
    assert refusals.is_own(HERE, 5, 99.0 + KEPT)
    assert refusals.is_own(HERE, 9, 98.0 + 2 * KEPT)
    assert not refusals.is_own(HERE, 15, 98.0 + 3 * KEPT)
    assert not refusals.doubts


def test_only_so_many_paths_are_remembered(refusals: Refusals) -> None:
    for number in range(MOST):
        refusals.refused(b"/api/%d" % number, 3, 101.0)
    assert len(refusals.doubts) == MOST
    assert HERE not in refusals.doubts


def test_a_call_is_remembered_by_its_operation_or_by_its_path_without_the_query() -> None:
    balance = b"/api/accounts/1/balance"
    assert path_of(read_target(balance, "GET"), balance) == "get_balance"
    assert path_of(Match(OTHER), b"/api/odd?externalId=order-1") == b"/api/odd"
    assert path_of(None, b"/api/odd") == b"/api/odd"
