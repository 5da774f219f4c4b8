"""Callers that keep their connections, as common clients do, lose no call when the sidecar is told to stop.

Each caller pays again and again on a connection that its client keeps, repeats nothing, and ends once it is refused a
connection. A call that was sent and got no answer is lost: its caller cannot know what became of the money.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import shutil
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest
import requests
import urllib3

from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator
from tests.support.origins import until
from tests.support.processes import BOUND
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

PATH = "/api/payout"
CALLERS = 12
PAUSES = (0.0, 0.005, 0.05, 0.3)  # seconds between two calls of a caller: busy pools, and pools that are less so
SLOW = 0.02  # seconds that a payout takes, so that some are in flight whenever the signal comes
ENOUGH = 5  # calls of each caller before the signal
NODE = shutil.which("node")
REFUSED = "refused"

# node:http with the agent that keeps connections, one for each caller. It prints what became of each call.
NODE_CALLER = """
const http = require("node:http");
const [url, count, pauses] = [process.argv[1], +process.argv[2], JSON.parse(process.argv[3])];
const wait = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const body = (id) => JSON.stringify({externalId: id, country: "ARG", currency: "USD", amount: 10});
const pay = (agent, id) => new Promise((done) => {
  const call = http.request(url, {agent, method: "POST", headers: {"Content-Type": "application/json"}}, (answer) => {
    let text = "";
    answer.on("data", (piece) => (text += piece));
    answer.on("error", (error) => done(error.code));
    answer.on("end", () => done(answer.statusCode === 503 ? JSON.parse(text).code : String(answer.statusCode)));
  });
  call.on("error", (error) => done(error.code === "ECONNREFUSED" ? "refused" : error.code));
  call.end(body(id));
});
const caller = async (number) => {
  const agent = new http.Agent({keepAlive: true, maxSockets: 1});
  for (let turn = 0; ; turn++) {
    const told = await pay(agent, `node-${number}-${turn}`);
    console.log(told);
    if (told === "refused") return agent.destroy();
    await wait(pauses[number % pauses.length]);
  }
};
for (let number = 0; number < count; number++) caller(number);
"""


class Told:
    """What became of each call, told by many threads."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, outcome: str) -> None:
        with self._lock:
            self.answers[outcome] += 1

    @property
    def total(self) -> int:
        with self._lock:
            return self.answers.total()


def content(number: int, turn: int) -> dict[str, Any]:
    return {"externalId": f"order-{number}-{turn}", "country": "ARG", "currency": "USD", "amount": 10}


def outcome(status: int, body: bytes) -> str:
    return str(json.loads(body)["code"]) if status == 503 else str(status)


def with_requests(url: str) -> Callable[[int, int], str]:
    session = requests.Session()
    session.trust_env = False

    def pay(number: int, turn: int) -> str:
        try:
            answer = session.post(url + PATH, json=content(number, turn), timeout=BOUND)
        except requests.ConnectionError as error:
            reason = getattr(error.args[0], "reason", error)
            return REFUSED if isinstance(reason, urllib3.exceptions.NewConnectionError) else repr(error)
        return outcome(answer.status_code, answer.content)

    return pay


def with_urllib3(url: str) -> Callable[[int, int], str]:
    pool = urllib3.PoolManager(retries=False)

    def pay(number: int, turn: int) -> str:
        try:
            answer = pool.request("POST", url + PATH, json=content(number, turn), timeout=BOUND)
        except urllib3.exceptions.NewConnectionError:
            return REFUSED
        except urllib3.exceptions.HTTPError as error:
            return repr(error)
        return outcome(answer.status, answer.data)

    return pay


def with_http_client(url: str) -> Callable[[int, int], str]:
    """It never looks whether a kept connection has ended before it sends, so that only an answer can tell it."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=BOUND)

    def pay(number: int, turn: int) -> str:
        try:
            if connection.sock is None:
                connection.connect()
        except ConnectionRefusedError:
            return REFUSED
        try:
            connection.request("POST", PATH, json.dumps(content(number, turn)), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return outcome(answer.status, answer.read())
        except (http.client.HTTPException, OSError) as error:
            connection.close()
            return repr(error)

    return pay


def in_threads(client: Callable[[str], Callable[[int, int], str]]) -> Callable[[str, Told], Coroutine[Any, Any, None]]:
    def call(url: str, told: Told, number: int) -> None:
        pay, turn, answer = client(url), 0, ""
        while answer != REFUSED:
            turn, answer = turn + 1, pay(number, turn)
            told.add(answer)
            time.sleep(PAUSES[number % len(PAUSES)])

    async def run(url: str, told: Told) -> None:
        threads = [threading.Thread(target=call, args=(url, told, number), daemon=True) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join, BOUND)

    return run


async def with_aiohttp(url: str, told: Told) -> None:
    async def call(number: int) -> None:
        turn, answer = 0, ""
        async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=1)) as session:
            session._retry_connection = False  # what it would hide is what is looked for  # noqa: SLF001 - and no public switch
            while answer != REFUSED:
                turn, answer = turn + 1, await pay(session, number, turn)
                told.add(answer)
                await asyncio.sleep(PAUSES[number % len(PAUSES)])

    async def pay(session: aiohttp.ClientSession, number: int, turn: int) -> str:
        try:
            async with session.post(PATH, json=content(number, turn)) as answer:
                return outcome(answer.status, await answer.read())
        except aiohttp.ClientConnectorError:
            return REFUSED
        except aiohttp.ClientError as error:
            return repr(error)

    async with asyncio.TaskGroup() as callers:
        for number in range(CALLERS):
            callers.create_task(call(number))


async def with_node(url: str, told: Told) -> None:
    assert NODE is not None
    process = await asyncio.create_subprocess_exec(
        *(NODE, "-e", NODE_CALLER, url + PATH, str(CALLERS), json.dumps(PAUSES)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async for line in process.stdout:
            told.add(line.decode().strip())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


needs_node = pytest.mark.skipif(
    NODE is None, reason="NODE'S CALLERS ARE NOT TESTED IN A RESTART: no node here; apt-get install nodejs"
)
CLIENTS = [
    pytest.param(in_threads(with_requests), id="requests"),
    pytest.param(in_threads(with_urllib3), id="urllib3"),
    pytest.param(in_threads(with_http_client), id="http.client"),
    pytest.param(with_aiohttp, id="aiohttp"),
    pytest.param(with_node, id="node:http", marks=needs_node),
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_no_call_that_was_sent_goes_without_an_answer(
    client: Callable[[str, Told], Coroutine[Any, Any, None]], number: signal.Signals
) -> None:
    told = Told()
    async with Simulator() as localpayment, serving(localpayment) as served:  # type: ignore[arg-type]  # of which only the URL is asked
        localpayment.add_fault(Fault(Kind.LATENCY, "create_payout", times=None, seconds=SLOW))
        calling = asyncio.create_task(client(served.url, told))
        await until(lambda: told.total >= CALLERS * ENOUGH)
        finished = await served.process.stopped(number)
        async with asyncio.timeout(BOUND):
            await calling
    assert finished.code == 0
    assert set(told.answers) <= {"200", "201", "draining", REFUSED}, told.answers
    assert told.answers[REFUSED] == CALLERS
