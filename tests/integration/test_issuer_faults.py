"""Every fault of a token endpoint's answer: what it is read as, and that nothing of it is quoted."""

from __future__ import annotations

import gzip
import json

import pytest

from proxy.tokens.issuer import DENIED_PAUSE, FetchFailedError, FetchResult
from tests.support.scripted_origin import Wire, origin
from tests.support.token_server import NOON, PAIR, answer, failure, log_in, met, signed

SHORT = 0.1  # real seconds; a hang must end
THROTTLED, SERVER_ERROR, DENIED = FetchResult.THROTTLED, FetchResult.SERVER_ERROR, FetchResult.DENIED
REFUSED, MALFORMED = FetchResult.REFUSED, FetchResult.MALFORMED


@pytest.mark.parametrize(
    ("status", "fields", "result", "retry_after"),
    [
        ("500 Internal Server Error", (), SERVER_ERROR, 0.0),
        ("502 Bad Gateway", (), SERVER_ERROR, 0.0),
        ("503 Service Unavailable", ("Retry-After: 20",), SERVER_ERROR, 20.0),
        ("429 Too Many Requests", (), THROTTLED, 0.0),
        ("429 Too Many Requests", ("Retry-After: 7",), THROTTLED, 7.0),
        ("429 Too Many Requests", ("Retry-After: Wed, 01 Jan 2025 12:00:45 GMT",), THROTTLED, 45.0),
        ("400 Bad Request", (), DENIED, DENIED_PAUSE),
        ("403 Forbidden", (), DENIED, DENIED_PAUSE),
        ("403 Forbidden", ("Retry-After: 100",), DENIED, 100.0),
        ("404 Not Found", (), DENIED, DENIED_PAUSE),
        ("401 Unauthorized", (), REFUSED, 0.0),
        ("201 Created", (), MALFORMED, 0.0),
        ("300 Multiple Choices", (), MALFORMED, 0.0),
    ],
)
async def test_a_status_is_read_as_what_it_means_for_the_next_try(
    status: str, fields: tuple[str, ...], result: FetchResult, retry_after: float
) -> None:
    error = await failure(answer(status, b"<html>s3cret</html>", *fields))
    assert (error.result, error.status, error.retry_after) == (result, int(status[:3]), retry_after)
    assert "s3cret" not in f"{error} {error!r}"


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 P"]
)
async def test_no_redirect_is_followed(status: str) -> None:
    async with origin(Wire.until_end) as elsewhere:
        error = await failure(answer(status, b"", f"Location: http://127.0.0.1:{elsewhere.at.port}/api/token/"))
        assert (error.result, error.status) == (MALFORMED, int(status[:3]))
        assert "LOCALPAYMENT_BASE_URL" in error.reason
        assert elsewhere.wires == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>maintenance s3cret</body></html>",
        b"null",
        b"[]",
        b'"s3cret"',
        b"{}",
        b'{"access": null}',
        b'{"access": 5, "refresh": 6}',
        b'{"access": ["s3cret"]}',
        b'{"access": "s3cret"}',
        b'{"refresh": "s3cret"}',
        b'{"access": "a.b.c"}',
        b'{"access": "s3cret\\r\\nX-Evil: 1"}',
        b"{" * 60_000,
        b"[" * 60_000,
        b"\xff\xfe\x00",
        b'{"access": 1' + b"0" * 5000 + b"}",
        json.dumps({"access": signed(exp=NOON - 1)}).encode(),
        json.dumps({"access": signed(exp=NOON)}).encode(),
        json.dumps({"access": signed(exp=str(NOON + 300))}).encode(),
        json.dumps({"access": signed(sub="s3cret")}).encode(),
    ],
    ids=lambda body: repr(body[:28]),
)
async def test_a_200_without_a_usable_token_is_malformed_and_not_quoted(body: bytes) -> None:
    error = await failure(answer("200 OK", body))
    assert (error.result, error.status) == (MALFORMED, 200)
    assert "s3cret" not in f"{error} {error!r}"


@pytest.mark.parametrize(("exp", "lifetime"), [(NOON + 90.5, 90.5), (4e9, 86400.0), (1e18, 86400.0), (NOON + 0.5, 1.0)])
async def test_a_float_or_far_exp_is_read(exp: float, lifetime: float) -> None:
    assert (await met(answer("200 OK", {"access": signed(exp=exp)}))).access_lifetime == lifetime


async def test_an_answer_of_a_megabyte_is_not_read_to_its_end() -> None:
    error = await failure(answer("200 OK", {**PAIR, "padding": "x" * 1024 * 1024}))
    assert (error.result, error.reason) == (MALFORMED, "the token endpoint's answer is larger than 64 KiB")


async def test_an_answer_of_64_kib_is_read() -> None:
    body = json.dumps(PAIR).encode()
    assert (await met(answer("200 OK", body + b" " * (64 * 1024 - len(body))))).access_lifetime == 300.0
    assert (await failure(answer("200 OK", body + b" " * (64 * 1024 - len(body) + 1)))).result is MALFORMED


async def test_a_gzipped_answer_is_read_although_none_was_asked_for() -> None:
    body = gzip.compress(json.dumps(PAIR).encode())
    assert (await met(answer("200 OK", body, "Content-Encoding: gzip"))).access_lifetime == 300.0


@pytest.mark.parametrize("body", [gzip.compress(b" " * 10_000_000), b"no gzip at all"], ids=["a bomb", "none"])
async def test_a_gzip_bomb_or_a_broken_encoding_is_malformed(body: bytes) -> None:
    assert (await failure(answer("200 OK", body, "Content-Encoding: gzip"))).result is MALFORMED


@pytest.mark.parametrize(
    "pieces",
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: s3cret\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\ns3cret\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ns3cret\r\n",),
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",),
    ],
)
async def test_what_is_not_http_is_malformed_and_not_quoted(pieces: tuple[bytes, ...]) -> None:
    error = await failure(*pieces)
    assert error.result is MALFORMED
    assert "s3cret" not in f"{error} {error!r}"
    assert error.__cause__ is None
    assert error.__suppress_context__


async def test_a_reset_and_a_close_are_lost_connections() -> None:
    async def reset(wire: Wire) -> None:
        await wire.request()
        wire.reset()

    async def close(wire: Wire) -> None:
        await wire.request()

    for script in (reset, close):
        async with origin(script) as served:
            with pytest.raises(FetchFailedError) as caught:
                await log_in(served)
        assert (caught.value.result, caught.value.status) == (FetchResult.UNREACHABLE, None)


async def test_an_answer_that_trickles_is_given_up_in_time() -> None:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
        await wire.until_end()

    async with origin(script) as served:
        with pytest.raises(FetchFailedError) as caught:
            await log_in(served, SHORT)
    assert caught.value.result is FetchResult.TIMEOUT
