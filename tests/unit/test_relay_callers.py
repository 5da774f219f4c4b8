"""A caller is known by what it cannot invent: its user, its certificate, or a key nobody can guess."""

from __future__ import annotations

import hashlib

import pytest

from proxy.policy.identity import MIN_KEY_LENGTH, digest, holder, identities, san

LONG = b"k" * MIN_KEY_LENGTH


def known(*keys: bytes) -> list[tuple[bytes, int]]:
    return [(hashlib.sha256(key).digest(), at) for at, key in enumerate(keys)]


def test_a_key_belongs_to_whoever_has_its_hash() -> None:
    callers = known(b"a" * 32, b"b" * 32, LONG)
    assert [holder(callers, key) for key in (b"a" * 32, b"b" * 32, LONG)] == [0, 1, 2]
    assert holder(callers, b"c" * 32) is None
    assert holder([], LONG) is None


def test_a_key_too_short_to_be_random_belongs_to_nobody_even_if_its_hash_is_listed() -> None:
    short = LONG[:-1]
    assert holder(known(short), short) is None
    assert digest(short) is None
    assert digest(LONG) == hashlib.sha256(LONG).digest()


def test_a_certificates_names_of_hosts_and_uris_are_its_identities() -> None:
    names = (
        ("DNS", "Shop.Internal"),
        ("URI", "spiffe://A/b"),
        ("email", "a@b"),
        ("IP Address", "10.0.0.1"),
        ("DNS", ""),
    )
    assert identities(names) == {"DNS:shop.internal", "URI:spiffe://A/b"}
    assert identities(()) == frozenset()


@pytest.mark.parametrize("text", ["", "shop", "dns:shop", "DNS:", "URI:", "IP Address:10.0.0.1", "email:DNS:shop"])
def test_a_name_without_its_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="carries its kind"):
        san(text)
