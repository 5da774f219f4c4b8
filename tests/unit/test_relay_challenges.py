"""How WWW-Authenticate is read, field by field as RFC 9110 has it."""

from __future__ import annotations

import pytest

from proxy.http1.challenges import Challenge, challenges_of

API = {b"realm": b"api"}
READ: dict[bytes, list[Challenge]] = {
    b"": [],
    b" , ,": [],
    b"Bearer": [Challenge(b"bearer", {})],
    b'Bearer realm="api"': [Challenge(b"bearer", API)],
    b"BEARER  realm = api": [Challenge(b"bearer", API)],
    b'BearerLike realm="api"': [Challenge(b"bearerlike", API)],
    b'Basic realm="a", Bearer realm="api"': [Challenge(b"basic", {b"realm": b"a"}), Challenge(b"bearer", API)],
    b'Basic realm="a", Bearer': [Challenge(b"basic", {b"realm": b"a"}), Challenge(b"bearer", {})],
    b',Negotiate,, Bearer realm="api" ,': [Challenge(b"negotiate", {}), Challenge(b"bearer", API)],
    b"Negotiate YWJj==, NTLM": [Challenge(b"negotiate", {}, b"YWJj=="), Challenge(b"ntlm", {})],
    b"Bearer realm=": [Challenge(b"bearer", {}, b"realm=")],
    b"Negotiate Bearer": [Challenge(b"negotiate", {}, b"Bearer")],
    b'Basic realm="a, Bearer realm=\\"api\\""': [Challenge(b"basic", {b"realm": b'a, Bearer realm="api"'})],
    b'Digest realm="x", , qop="auth,auth-int", bearer=1': [
        Challenge(b"digest", {b"realm": b"x", b"qop": b"auth,auth-int", b"bearer": b"1"})
    ],
}
MALFORMED = (
    b'Bearer realm="api',
    b'Bearer realm="api"x',
    b'Bearer realm="api" realm2="b"',
    b'Bearer realm="a", realm="b"',
    b'Bearer realm="a", REALM="b"',
    b'Bearer, realm="api"',
    b'Negotiate abc=, realm="api"',
    b'realm="api"',
    b'Bearer"api"',
    b"Bearer\trealm=api",
    b"Bearer: realm=api",
    b"Bearer realm=a b",
    b"B\xc3\xa9arer",
    b'"Bearer"',
    b'Bearer realm="a\x00b"',
)


@pytest.mark.parametrize("value", READ)
def test_a_list_of_challenges_is_read_whole(value: bytes) -> None:
    assert challenges_of([(b"WWW-Authenticate", value)]) == READ[value]


@pytest.mark.parametrize("value", MALFORMED)
def test_a_field_with_a_mistake_spoils_all_of_them(value: bytes) -> None:
    assert challenges_of([(b"www-authenticate", b"Bearer"), (b"WWW-Authenticate", value)]) is None


def test_several_fields_are_one_list_and_other_fields_are_none_of_it() -> None:
    headers = [(b"WWW-Authenticate", b"Basic"), (b"Proxy-Authenticate", b'Bearer "'), (b"www-authenticate", b"Bearer")]
    assert challenges_of(headers) == [Challenge(b"basic", {}), Challenge(b"bearer", {})]


@pytest.mark.parametrize("value", [b'"\\' * 4000, b"a" * 8000 + b'"', b'a="' * 2700, b" " * 8000 + b"=", b"a " * 4000])
def test_the_longest_field_is_read_in_no_more_than_one_go(value: bytes) -> None:
    """A reader that goes back again and again would take minutes, and run into the test's time-out."""
    assert challenges_of([(b"WWW-Authenticate", value)]) is None
