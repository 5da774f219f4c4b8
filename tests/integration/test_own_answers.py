"""Every answer of the sidecar's own ends with a newline, so that a shell's prompt stands on a line of its own."""

from __future__ import annotations

import pytest

from proxy.simulator.server import Simulator
from tests.support.sidecars import settings_for, sidecar

ADMIN = [
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/startupz"),
    ("GET", "/metrics"),
    ("GET", "/status"),
    ("GET", "/nowhere"),
    ("GET", "/-/reload"),
    ("POST", "/-/reload"),
    ("POST", "/-/lock"),
    ("POST", "/-/unlock"),
    ("POST", "/-/drain"),
]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
async def test_an_answer_of_our_own_ends_with_a_newline(accept: str) -> None:
    async with Simulator() as there, sidecar(settings_for(there.url)) as relay:
        headers = {"Accept": accept}
        answers = [(path, (await relay.admin(path, method, headers=headers))[1]) for method, path in ADMIN]
        _, refused = await relay.get("/api/token/")
        assert [path for path, text in answers if not text.endswith("\n")] == []
        assert refused.endswith(b"\n")


async def test_an_answer_that_is_refused_before_it_is_read_ends_with_a_newline() -> None:
    async with Simulator() as there, sidecar(settings_for(there.url)) as relay:
        assert (await relay.raw(b"nonsense\r\n\r\n")).endswith(b"\n")
