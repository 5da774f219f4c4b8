"""Which credentials may log in when: accounts can lock, and new credentials can be wrong."""

from __future__ import annotations

import math

import pytest

from proxy.tokens.credential_set import CredentialSet, CredentialState
from tests.support.fakes import CREDENTIALS, OTHERS, WRONG


def known(accounts: CredentialSet) -> set[str]:
    every = (CREDENTIALS, OTHERS, WRONG)
    return {one.password.reveal() for one in every if accounts.of(one) is not None}


def test_a_refused_login_waits_60_s_doubling_to_15_min() -> None:
    account = CredentialState(CREDENTIALS)
    floors = []
    for _ in range(7):
        account.refused(1000.0)
        floors.append(account.until - 1000.0)
    assert floors == [60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]
    assert account.rejected


def test_thousands_of_refusals_overflow_nothing() -> None:
    account = CredentialState(CREDENTIALS)
    for _ in range(5000):
        account.refused(1000.0)
    assert account.until == 1900.0


def test_a_granted_login_forgets_all_refusals() -> None:
    account = CredentialState(CREDENTIALS)
    account.refused(1000.0)
    account.refused(1060.0)
    account.granted()
    assert (account.rejected, account.until) == (False, -math.inf)
    account.refused(2000.0)
    assert account.until == 2060.0


@pytest.mark.parametrize(("asked", "until"), [(0.0, 1060.0), (59.0, 1060.0), (120.0, 1120.0), (1e6, 1300.0)])
def test_a_failed_login_waits_a_minute_or_what_the_server_asks_for(asked: float, until: float) -> None:
    account = CredentialState(CREDENTIALS)
    account.failed(1000.0, asked)
    assert account.until == until
    assert not account.rejected


def test_a_failure_never_shortens_the_floor_of_a_refusal() -> None:
    account = CredentialState(CREDENTIALS)
    for _ in range(5):
        account.refused(1000.0)
    account.failed(1001.0, 0.0)
    assert account.until == 1900.0


def test_after_a_failure_the_floor_binds_only_while_a_refresh_token_could_serve() -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.held.failed(1000.0, 0.0)
    assert accounts.login_from(alive=True) == 1060.0
    assert accounts.login_from(alive=False) == -math.inf


def test_after_a_refusal_the_floor_binds_always() -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.held.refused(1000.0)
    assert accounts.login_from(alive=True) == accounts.login_from(alive=False) == 1060.0


def test_without_an_offer_none_is_ever_tried() -> None:
    assert CredentialSet(CREDENTIALS).offered_from(alive=True) == math.inf


def test_offered_credentials_may_log_in_at_once_and_take_over_when_that_works() -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.held.failed(1000.0, 0.0)
    accounts.offer(OTHERS)
    assert accounts.offered_from(alive=True) == -math.inf
    newer = accounts.of(OTHERS)
    assert newer is not None
    accounts.granted(newer)
    assert accounts.held is newer
    assert accounts.of(CREDENTIALS) is None


def test_offered_credentials_that_are_refused_leave_those_in_use_alone() -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.offer(WRONG)
    assert accounts.offered is not None
    accounts.refused(accounts.offered, 1000.0)
    assert accounts.held.credentials is CREDENTIALS
    assert (accounts.offered_from(alive=True), accounts.login_from(alive=True)) == (1060.0, -math.inf)
    assert accounts.rejected


def test_offered_credentials_wait_a_minute_after_a_failure_while_those_in_use_may_still_be_good() -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.offer(OTHERS)
    assert accounts.offered is not None
    accounts.offered.failed(1000.0, 0.0)
    assert accounts.offered_from(alive=False) == 1060.0
    accounts.held.refused(1000.0)
    assert accounts.offered_from(alive=False) == -math.inf
    assert accounts.offered_from(alive=True) == 1060.0


@pytest.mark.parametrize("tried", [True, False])
def test_when_those_in_use_are_refused_the_offered_ones_are_all_there_is(*, tried: bool) -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.offer(OTHERS)
    newer = accounts.of(OTHERS)
    assert newer is not None
    if tried:
        accounts.refused(newer, 1000.0)
    accounts.refused(accounts.held, 1000.0)
    assert accounts.held is newer
    assert known(accounts) == {"newer"}
    assert accounts.rejected is tried


def test_credentials_that_are_known_already_change_nothing() -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.held.refused(1000.0)
    accounts.offer(type(CREDENTIALS)(CREDENTIALS.username, CREDENTIALS.password))
    assert accounts.login_from(alive=False) == 1060.0
    assert accounts.offered_from(alive=False) == math.inf


def test_credentials_that_are_offered_already_keep_their_floor() -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.offer(WRONG)
    offered = accounts.of(WRONG)
    assert offered is not None
    offered.refused(1000.0)
    accounts.offer(type(WRONG)(WRONG.username, WRONG.password))
    assert accounts.offered is offered


def test_offering_those_in_use_again_withdraws_an_offer_and_a_later_offer_replaces_it() -> None:
    accounts = CredentialSet(CREDENTIALS)
    accounts.offer(WRONG)
    accounts.offer(OTHERS)
    assert known(accounts) == {"right", "newer"}
    accounts.offer(CREDENTIALS)
    assert known(accounts) == {"right"}
