"""Secrets are masked in whatever is written, in every form in which they appear."""

from __future__ import annotations

import json
from urllib.parse import quote

import jwt
import pytest

from proxy.ops.logs.redaction import MASK, KnownSecrets
from proxy.secret import Secret, is_card_number

PASSWORD = 'canary "pass\\word" ü/?'
TOKEN = jwt.encode({"exp": 1}, "k" * 32)


@pytest.mark.parametrize(
    "shown",
    [PASSWORD, json.dumps(PASSWORD), json.dumps(PASSWORD, ensure_ascii=False), f"?q={quote(PASSWORD, safe='')}"],
)
def test_a_known_secret_is_masked_in_every_form(shown: str) -> None:
    known = KnownSecrets()
    known.keep(Secret(PASSWORD))
    assert "canary" not in known.redacted(f"before {shown} after")
    assert MASK in known.redacted(f"before {shown} after")


def test_a_secret_that_is_no_longer_used_is_known_for_a_while_and_a_lasting_one_for_ever() -> None:
    known = KnownSecrets()
    known.keep(Secret("lasting-secret"), None)
    known.learn(Secret("used-again-and-again"))
    for number in range(40):
        known.learn(Secret(f"token-number-{number:02}"), None)
        known.learn(Secret("used-again-and-again"))
    text = known.redacted("lasting-secret used-again-and-again token-number-39 token-number-30 token-number-00")
    assert text == f"{MASK} {MASK} {MASK} {MASK} token-number-00"


def test_a_longer_secret_is_masked_before_the_shorter_one_that_it_holds() -> None:
    known = KnownSecrets()
    known.keep(Secret("secret"), Secret("secret-and-more"))
    assert known.redacted("secret-and-more") == MASK


def test_a_word_too_short_to_be_told_from_others_stays() -> None:
    known = KnownSecrets()
    known.keep(Secret("post"))
    assert known.redacted("post") == "post"


@pytest.mark.parametrize(
    "text", [TOKEN, f"Authorization: Bearer {TOKEN}", "bearer opaque-token-1", "BEARER a.b.c.d.e.f"]
)
def test_what_looks_like_a_token_is_masked_whoever_issued_it(text: str) -> None:
    masked = KnownSecrets().redacted(text)
    assert MASK in masked
    assert not any(part in masked for part in (TOKEN, "opaque", "a.b"))


@pytest.mark.parametrize("number", ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "4222222222222"])
def test_a_card_number_is_masked_as_people_write_it(number: str) -> None:
    assert KnownSecrets().redacted(f'{{"request_id":"{number}"}}') == f'{{"request_id":"{MASK}"}}'
    assert is_card_number(number)


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "2026-11-25T17:24:15.123456Z",
        "019ab3c4-1234-7123-8123-411111111111",
        "4111111111111111abcdef4111111111",
        '"total_ms":1234567.123,"request_bytes":123456789',
    ],
)
def test_ids_times_and_other_numbers_stay(text: str) -> None:
    assert KnownSecrets().redacted(text) == text
