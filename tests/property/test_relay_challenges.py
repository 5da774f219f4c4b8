"""Whatever a 401 carries: only a Bearer challenge or a code of Simple JWT's proves that the call was not processed."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import hypothesis.strategies as st
from hypothesis import given

from proxy.http1.challenges import Challenge, challenges_of
from proxy.relay.auth_refusal import read_refusal

if TYPE_CHECKING:
    from proxy.upstream.answer import Answer

TOKEN = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=8) | st.sampled_from(
    ["Bearer", "bEaReR", "Bearerx", "xBearer", "Bearer-Like", "Basic", "error", "realm"]
)
TEXT = st.text(' \t,="\\;Bearerz', max_size=6) | st.sampled_from([", Bearer realm=", 'Bearer realm="api"'])
TOKEN68 = st.from_regex(r"\A[A-Za-z0-9._~+/-]{1,8}={0,2}\Z")
PARAMETERS = st.lists(
    st.tuples(TOKEN, TOKEN.map(lambda text: (text, False)) | TEXT.map(lambda text: (text, True))), max_size=2
)
SPACE = st.sampled_from(["", " ", "\t", " \t "])


@st.composite
def written(draw: st.DrawFn) -> tuple[list[Challenge], list[bytes]]:
    """Challenges, and fields that say them in one of the many ways that there are."""
    challenges: list[Challenge] = []
    fields: list[str] = []
    for _ in range(draw(st.integers(0, 2))):
        members: list[str] = []
        for _ in range(draw(st.integers(0, 2))):
            scheme = draw(TOKEN)
            unique = {name.lower(): (name, value) for name, value in draw(PARAMETERS)}
            token68 = draw(st.none() | TOKEN68)
            if token68 is not None:
                members.append(f"{scheme} {token68}")
                challenges.append(Challenge(scheme.lower().encode(), {}, token68.encode()))
                continue
            shown = [parameter(draw, name, *value) for name, value in unique.values()]
            members += (
                [scheme] if not shown else [f"{scheme}{draw(st.sampled_from([' ', '  ']))}{shown[0]}", *shown[1:]]
            )
            values = {name.encode(): value[0].encode() for name, (_, value) in unique.items()}
            challenges.append(Challenge(scheme.lower().encode(), values))
        parts = [draw(SPACE) + part + draw(SPACE) for member in members for part in [member, *[""] * draw(few)]]
        fields.append(",".join(parts))
    return challenges, [text.encode() for text in fields]


few = st.integers(0, 2)


def parameter(draw: st.DrawFn, name: str, value: str, quoted: bool) -> str:  # noqa: FBT001 - drawn together with the value
    if quoted:
        escaped = [f"\\{char}" if char in '"\\' or draw(st.booleans()) else char for char in value]
        value = f'"{"".join(escaped)}"'
    return f"{name}{draw(SPACE)}={draw(SPACE)}{value}"


@given(written())
def test_challenges_are_read_as_they_were_written(case: tuple[list[Challenge], list[bytes]]) -> None:
    challenges, fields = case
    assert challenges_of([(b"WWW-Authenticate", value) for value in fields]) == challenges


@given(st.binary(max_size=60) | st.text('Bearer ,="\\ab', max_size=40).map(str.encode))
def test_whatever_a_field_holds_no_challenge_is_found_in_the_midst_of_something_else(value: bytes) -> None:
    found = challenges_of([(b"www-authenticate", value)])
    for challenge in found or []:
        assert challenge.scheme in value.lower()
    if found is not None and any(challenge.scheme == b"bearer" for challenge in found):
        at = value.lower().index(b"bearer")
        assert not value[:at].strip(b" \t,") or b"," in value[:at]


@dataclass
class Said:
    """What read_refusal asks of an Answer."""

    headers: list[tuple[bytes, bytes]]
    status: int = 401
    pieces: deque[bytes] = field(default_factory=deque)

    async def read(self) -> bytes:
        return self.pieces.popleft() if self.pieces else b""


def proven(headers: list[tuple[bytes, bytes]], body: bytes, status: int = 401) -> bool:
    said = Said(headers, status, deque([body] if body else []))
    return asyncio.run(read_refusal(cast("Answer", said))).proven


CODES = st.sampled_from(["token_not_valid", "user_inactive", "user_not_found", "password_changed", "537", "200", ""])
MEMBERS = st.sampled_from(["detail", "code", "messages", "status", "errors", "externalId"])
VALUES = CODES | st.lists(st.just({"message": "x"}) | CODES, max_size=1) | st.none()
BODIES = st.dictionaries(MEMBERS, VALUES | st.dictionaries(MEMBERS, VALUES, max_size=2), max_size=4)
KNOWN = {"token_not_valid", "user_inactive", "user_not_found", "password_changed"}


def simple_jwts(body: dict[str, Any]) -> bool:
    """Whether it is what Simple JWT's exceptions make, told in another way than the code under test does."""
    rest = dict(body)
    detail, code, messages = rest.pop("detail", None), rest.pop("code", None), rest.pop("messages", [])
    listed = isinstance(messages, list) and all(isinstance(each, dict) for each in messages)
    return not rest and isinstance(detail, str) and isinstance(code, str) and code in KNOWN and listed


@given(written(), BODIES)
def test_only_a_real_challenge_or_a_code_of_simple_jwts_proves(
    case: tuple[list[Challenge], list[bytes]], body: dict[str, Any]
) -> None:
    challenges, fields = case
    bearer = [challenge for challenge in challenges if challenge.scheme == b"bearer"]
    sound = [
        challenge.token68 is None and challenge.parameters.get(b"error") in {None, b"invalid_token"}
        for challenge in bearer
    ]
    expected = all(sound) and (bool(bearer) or simple_jwts(body))
    headers = [(b"WWW-Authenticate", value) for value in fields]
    assert proven(headers, json.dumps(body).encode()) is expected
    assert not proven(headers, json.dumps(body).encode(), status=403)
    assert not proven([*headers, (b"WWW-Authenticate", b'Bearer realm="')], json.dumps(body).encode())
