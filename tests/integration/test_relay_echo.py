"""An answer of Localpayment's that holds the token with which its call was sent is told of, and masked when asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from proxy.relay.response.token_echo import mask
from tests.support.callers import policy
from tests.support.origins import carried, localpayment, request, said
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.support.scripted_origin import Wire

TARGET = "/api/accounts/032.840.00000001/balance"


async def in_header(wire: Wire) -> None:
    while True:
        token = carried(await wire.request())
        await wire.send(b"HTTP/1.1 200 OK\r\nX-Seen: Bearer " + token + b"\r\nContent-Length: 2\r\n\r\nok")


async def in_body(wire: Wire) -> None:
    """In two chunks of a chunked body, cut within the token, and then the rest."""
    while True:
        token = carried(await wire.request())
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (b"you sent " + token[:40], token[40:], b" to us"):
            await wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await wire.send(b"0\r\n\r\n")


async def with_a_length(wire: Wire) -> None:
    while True:
        body = b"you sent " + carried(await wire.request())
        await wire.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


@pytest.mark.parametrize(("script", "place"), [(in_header, "header"), (in_body, "body"), (with_a_length, "body")])
@pytest.mark.parametrize("masked", [False, True])
async def test_an_echoed_token_is_counted_and_logged_and_masked_when_asked(
    script: Callable[[Wire], Awaitable[None]], place: str, *, masked: bool
) -> None:
    async with localpayment(script) as there, sidecar(settings_for(there.url, redact_echoes=masked)) as relay:
        answer = await said(relay, request("GET", TARGET))
        token, read = carried(there.calls), re.sub(rb"\r\n[0-9a-f]+\r\n", b"", answer.raw)
        assert (token in read) is not masked
        assert (mask(token) in read) is masked
        assert answer.complete
        assert relay.value("token_echoes_total") == 1
        (line,) = relay.lines("token.echoed")
        assert (line["place"], line["operation"], line["level"]) == (place, "get_balance", "error")
        assert line["request_id"] == relay.calls[0]["request_id"]
        assert token.decode() not in relay.text_of_log


async def test_a_token_in_a_field_that_stays_here_is_told_of_too() -> None:
    async def in_cookie(wire: Wire) -> None:
        token = carried(await wire.request())
        await wire.send(b"HTTP/1.1 200 OK\r\nSet-Cookie: last=" + token + b"\r\nContent-Length: 2\r\n\r\nok")

    async with localpayment(in_cookie) as there, sidecar(settings_for(there.url)) as relay:
        answer = await said(relay, request("GET", TARGET))
        assert (answer.status, carried(there.calls) in answer.raw) == (200, False)
        assert [line["place"] for line in relay.lines("token.echoed")] == ["header"]


async def test_an_answer_without_it_is_neither_counted_nor_changed() -> None:
    async def plain(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\neyJ only")

    async with localpayment(plain) as there, sidecar(settings_for(there.url, redact_echoes=True)) as relay:
        assert (await said(relay, request("GET", TARGET))).body == b"eyJ only"
        assert relay.value("token_echoes_total") == 0


async def test_a_401_that_holds_it_is_looked_at_too() -> None:
    async def refuse(wire: Wire) -> None:
        while True:
            body = carried(await wire.request())
            await wire.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with localpayment(refuse) as there, sidecar(settings_for(there.url, redact_echoes=True)) as relay:
        answer = await said(relay, request("GET", TARGET))
        assert (answer.status, answer.body[:13]) == (401, b"[redacted]***")
        assert relay.value("token_echoes_total") == 1


async def test_a_callers_own_credential_may_come_back_to_it(tmp_path: Path) -> None:
    text = '[callers.shop]\nanyone = true\nallow = ["tokenize_card"]\nown_authorization = ["tokenize_card"]\n'
    path = policy(tmp_path, text)
    async with (
        localpayment(in_header) as there,
        sidecar(settings_for(there.url, redact_echoes=True, policy_file=path)) as relay,
    ):
        answer = await said(relay, request("POST", "/api/card", "Authorization: Bearer a-smart-fields-own", body=b"{}"))
        assert answer.headers["x-seen"] == "Bearer a-smart-fields-own"
        assert relay.value("token_echoes_total") == 0
