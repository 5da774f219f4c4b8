"""No recipe's client sends a payment again by itself; those that would do so without the recipe's setting are shown to.

What answers is neither sidecar nor simulator: it ends a kept connection under the second payment, as a crash would.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.origins import localpayment
from tests.support.recipes import RECIPES, prepared, said

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.scripted_origin import Wire

FOUND = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


async def payments(command: list[str], second: bytes) -> int:
    """Pay twice, and meet this in the place of the second answer; return how often the second payment was sent."""
    met: list[bytes] = []

    async def serve(wire: Wire) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                request = await wire.request()
                if request.startswith(b"POST") and b"order-2" in request:
                    met.append(request)
                    if len(met) == 1 and not second:
                        return  # and the connection with it
                    await wire.send(second or FOUND)
                else:
                    await wire.send(FOUND)

    async with localpayment(serve) as there:
        await said(command, there.url, "order-1", "order-2")
    return len(met)


@pytest.mark.parametrize("name", RECIPES)
async def test_a_connection_that_dies_under_a_payment_does_not_repeat_it(name: str, tmp_path: Path) -> None:
    assert await payments(await prepared(name, tmp_path), b"") == 1


@pytest.mark.parametrize("name", RECIPES)
async def test_a_502_does_not_repeat_a_payment(name: str, tmp_path: Path) -> None:
    assert await payments(await prepared(name, tmp_path), BAD_GATEWAY) == 1


# Setting of the recipe, and what stands in its place in code that pays twice.
CARELESS = {
    "pay_guzzle.php": ("CURLOPT_FRESH_CONNECT => true, CURLOPT_FORBID_REUSE => true", ""),
    "PayOkHttp.java": (".retryOnConnectionFailure(false)", ""),
    "pay.go": ('Set("Content-Type", "application/json")', 'Set("Idempotency-Key", "k")'),
}


@pytest.mark.parametrize("name", CARELESS)
async def test_without_its_setting_the_client_repeats_it(name: str, tmp_path: Path) -> None:
    assert await payments(await prepared(name, tmp_path, CARELESS[name]), b"") == 2


async def test_a_retry_of_urllib3_for_every_method_pays_four_times(tmp_path: Path) -> None:
    retry = "urllib3.Retry(3, allowed_methods=None, status_forcelist=[502])"
    mounted = f"\nimport urllib3\nSESSION.mount('http://', requests.adapters.HTTPAdapter(max_retries={retry}))"
    line = "SESSION = requests.Session()"
    command = await prepared("pay_requests.py", tmp_path, (line, line + mounted))
    assert await payments(command, BAD_GATEWAY) == 4


async def test_curl_with_retry_pays_again(tmp_path: Path) -> None:
    line = "curl --silent"
    command = await prepared("pay.sh", tmp_path, (line, "curl --retry 1 --silent"))
    assert await payments(command, BAD_GATEWAY) == 2
