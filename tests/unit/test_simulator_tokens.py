"""The tokens that the simulated Localpayment issues and accepts, on a clock that stands still."""

from __future__ import annotations

import jwt
import pytest

from proxy.secret import Secret
from proxy.simulator.tokens import Account, Settings, TokenError, Tokens, User

NOW = 1_700_000_000.25


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(Settings())


def unread(token: str) -> dict[str, object]:
    return jwt.decode(token, options={"verify_signature": False})


def test_claims_are_those_of_the_documented_samples(tokens: Tokens) -> None:
    claims = unread(tokens.pair(NOW, 0)["access"])
    documented = "token_type exp jti user_id superuser is_staff roles countries company client_code"
    assert list(claims) == documented.split()
    assert isinstance(claims["user_id"], int)
    assert claims["exp"] == 1_700_000_300


def test_a_token_lives_until_its_exp_and_not_a_moment_longer(tokens: Tokens) -> None:
    access = tokens.pair(NOW, 0)["access"]
    assert tokens.check(access, "access", NOW + 299.7).kind == "access"
    with pytest.raises(TokenError, match="Token is expired"):
        tokens.check(access, "access", NOW + 299.75)


def test_a_refresh_gives_another_access_token_and_no_refresh_token(tokens: Tokens) -> None:
    pair = tokens.pair(NOW, 0)
    assert set(tokens.refreshed(pair["refresh"], NOW)) == {"access"}
    assert tokens.refreshed(pair["refresh"], NOW)["access"] != pair["access"]


def test_rotation_gives_a_new_refresh_token_and_ends_the_old_one() -> None:
    tokens = Tokens(Settings(rotate=True))
    old = tokens.pair(NOW, 0)["refresh"]
    new = tokens.refreshed(old, NOW)["refresh"]
    assert new != old
    with pytest.raises(TokenError, match="Token is blacklisted"):
        tokens.refreshed(old, NOW)
    assert set(tokens.refreshed(new, NOW)) == {"access", "refresh"}


def test_rotation_without_blacklisting_leaves_the_old_refresh_token_alive() -> None:
    tokens = Tokens(Settings(rotate=True, blacklist=False))
    old = tokens.pair(NOW, 0)["refresh"]
    assert tokens.refreshed(old, NOW)["refresh"] != tokens.refreshed(old, NOW)["refresh"]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"token_type": "access", "exp": NOW + 10}, "Token is invalid"),
        ({"token_type": "access", "jti": "a"}, "Token is invalid"),
        ({"token_type": "access", "exp": NOW + 10, "jti": "a", "iat": NOW + 1}, "Token is invalid"),
        ({"token_type": "access", "exp": NOW, "jti": "a"}, "Token is expired"),
        ({"token_type": "access", "exp": NOW + 10, "jti": "a"}, "Token has wrong type"),
    ],
)
def test_a_signed_token_with_odd_claims_is_refused(tokens: Tokens, claims: dict[str, object], reason: str) -> None:
    with pytest.raises(TokenError, match=reason):
        tokens.check(tokens.signed(claims), "access", NOW)


def test_garbage_and_the_other_servers_tokens_are_invalid(tokens: Tokens) -> None:
    for token in ("", "garbage", "a.b.c", Tokens(Settings()).pair(NOW, 0)["access"]):
        with pytest.raises(TokenError, match="Token is invalid"):
            tokens.check(token, "access", NOW)


def test_the_kinds_do_not_stand_in_for_each_other(tokens: Tokens) -> None:
    pair = tokens.pair(NOW, 0)
    with pytest.raises(TokenError, match="Token has wrong type"):
        tokens.check(pair["refresh"], "access", NOW)
    with pytest.raises(TokenError, match="Token has wrong type"):
        tokens.refreshed(pair["access"], NOW)


def test_revoking_one_kind_spares_the_other_and_what_comes_later(tokens: Tokens) -> None:
    pair = tokens.pair(NOW, 0)
    assert tokens.revoke("access") == 1
    assert tokens.revoke("access") == 0
    with pytest.raises(TokenError, match="Token is invalid"):
        tokens.check(pair["access"], "access", NOW)
    assert tokens.check(tokens.refreshed(pair["refresh"], NOW)["access"], "access", NOW).kind == "access"
    assert tokens.revoke("refresh") == 1
    with pytest.raises(TokenError, match="Token is blacklisted"):
        tokens.refreshed(pair["refresh"], NOW)


def test_expiring_ends_what_was_issued_so_far_before_its_exp(tokens: Tokens) -> None:
    pair = tokens.pair(NOW, 0)
    assert tokens.expire("access", "refresh") == 2
    for kind in ("access", "refresh"):
        with pytest.raises(TokenError, match="Token is expired"):
            tokens.check(pair[kind], "access" if kind == "access" else "refresh", NOW)
    assert tokens.check(tokens.pair(NOW, 0)["access"], "access", NOW).kind == "access"


def test_a_refreshed_token_carries_the_password_of_its_refresh_token(tokens: Tokens) -> None:
    refresh = tokens.pair(NOW, 3)["refresh"]
    assert tokens.check(tokens.refreshed(refresh, NOW)["access"], "access", NOW).password_generation == 3


def test_tokens_show_neither_key_nor_ids(tokens: Tokens) -> None:
    access = tokens.pair(NOW, 0)["access"]
    assert str(unread(access)["jti"]) not in repr(tokens)
    assert repr(tokens) == f"Tokens(settings={tokens.settings!r})"


def test_an_account_without_names_lets_every_pair_in_and_a_named_one_only_its_own() -> None:
    assert Account().accepts(Secret("any"), Secret("thing"))
    named = Account(Secret("name"), Secret("word"))
    assert named.accepts(Secret("name"), Secret("word"))
    assert not named.accepts(Secret("name"), Secret("other"))
    assert not named.accepts(Secret("other"), Secret("word"))


@pytest.mark.parametrize("user", [User.INACTIVE, User.DELETED])
def test_nobody_logs_in_as_a_user_that_is_not_active(user: User) -> None:
    assert not Account(user=user).accepts(Secret("any"), Secret("thing"))


def test_a_changed_password_counts_even_when_it_is_the_same_one() -> None:
    account = Account(Secret("name"), Secret("word"))
    account.change_password(None, revoke_check=True)
    assert account.accepts(Secret("name"), Secret("word"))
    assert (account.password_generation, account.revoke_check) == (1, True)
    account.change_password(Secret("new"), revoke_check=False)
    assert not account.accepts(Secret("name"), Secret("word"))
