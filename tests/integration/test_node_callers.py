"""Node's own clients call through the sidecar: `fetch`, which sends a field of Fetch Metadata, and `node:http`."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.origins import greeting, localpayment
from tests.support.sidecars import BOUND, settings_for, sidecar

if TYPE_CHECKING:
    from tests.support.sidecars import Running

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="NODE IS NOT TESTED: no node here; apt-get install nodejs")

FETCH = """
const said = [];
for (const [path, options] of [
  ["/api/resources/banks", {}],
  ["/api/payout", {method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"}],
]) {
  const answer = await fetch(process.argv[1] + path, options);
  said.push([answer.status, await answer.text()]);
}
console.log(JSON.stringify(said));
"""
HTTP = """
import http from "node:http";
const agent = new http.Agent({keepAlive: true});
const call = (path, options, body) => new Promise((done, fail) => {
  const request = http.request(process.argv[1] + path, {agent, ...options}, (answer) => {
    let text = "";
    answer.on("data", (piece) => { text += piece; });
    answer.on("end", () => done([answer.statusCode, text]));
  });
  request.on("error", fail);
  request.end(body);
});
const json = {"Content-Type": "application/json"};
const said = [
  await call("/api/resources/banks", {}),
  await call("/api/payout", {method: "POST", headers: json}, "{}"),
];
agent.destroy();
console.log(JSON.stringify(said));
"""


async def run(script: str, relay: Running) -> list[list[object]]:
    """Run a module of JavaScript; return what it says."""
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        *(NODE, "--input-type=module", "--eval", script, relay.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(BOUND):
            said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, complaint.decode()
    read: list[list[object]] = json.loads(said)
    return read


@pytest.mark.parametrize("script", [FETCH, HTTP], ids=["fetch", "node:http"])
async def test_node_reads_and_pays(script: str) -> None:
    async with localpayment(greeting) as there, sidecar(settings_for(there.url)) as relay:
        assert await run(script, relay) == [[200, "hello"], [200, "hello"]]
        assert there.calls.count(b"POST /api/payout HTTP/1.1\r\n") == 1
        assert [line["outcome"] for line in relay.calls] == ["answered", "answered"]
