"""What goes wrong with calls, scene by scene. With those of the first sidecar, nothing does."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING, Final

from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.scenes.stage import BALANCE, Scene, admin, named, payment
from tests.support.callers import Certificates, key, policy
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MIB: Final = 1024 * 1024
MESH: Final = {"x-envoy-attempt-count": "2"}


@contextlib.asynccontextmanager
async def healthy(folder: Path) -> AsyncIterator[Scene]:
    """A sidecar that speaks TLS with Localpayment and takes calls all the time: nothing to tell."""
    certificates = Certificates(folder / "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.cert_file, certificates.key_file)
    async with Simulator(SimulatorOptions(ssl_context=context)) as there:
        url = there.url.replace("127.0.0.1", "localhost")
        async with sidecar(settings_for(url, upstream_ca_file=certificates.ca_file)) as relay:

            async def happen() -> None:
                for number in range(10_000):
                    await relay.get(BALANCE)
                    await relay.post("/api/payin", payment(number))
                    await asyncio.sleep(0.25)

            yield Scene("healthy", admin(relay), happen, frozenset())


@contextlib.asynccontextmanager
async def odd_traffic(_: Path) -> AsyncIterator[Scene]:
    """Localpayment's clock is ahead; it refuses, throttles, mirrors and loses calls; callers do what they may not."""
    async with Simulator() as there:
        there.set_clock(30.0)
        async with sidecar(settings_for(there.url)) as relay:

            async def status(status: int, body: str | None = None) -> None:
                there.add_fault(Fault(Kind.STATUS, "get_balance", status=status, body=body))
                await relay.get(BALANCE)

            async def happen() -> None:
                for number in range(10_000):
                    await relay.get("/api/token/")
                    await status(429)
                    for _ in range(2):
                        await status(403)
                    token = await relay.sidecar.keeper.obtain()
                    await status(200, token.header.partition(b" ")[2].decode())
                    there.add_fault(Fault(Kind.DROP_AFTER_READ, "create_payout"))
                    await relay.post("/api/payout", payment(number), headers=MESH)
                    await asyncio.sleep(0.2)

            raises = "ClockSkew Refusals Throttled Denials TokenEchoed OutcomeUnknown MeshRepeats"
            yield Scene("odd-traffic", admin(relay), happen, named(raises))


@contextlib.asynccontextmanager
async def slow_answers(_: Path) -> AsyncIterator[Scene]:
    """Localpayment takes longer than it should for each call, and for most of those that there may be at once."""
    async with Simulator() as there, sidecar(settings_for(there.url, max_in_flight=6, response_timeout=60.0)) as relay:

        async def slowly() -> None:
            while True:
                await relay.get("/api/resources/banks")

        async def happen() -> None:
            there.add_fault(Fault(Kind.LATENCY, "list_banks", times=None, seconds=2.6))
            there.add_fault(Fault(Kind.HANG, "get_balance", times=None))
            await asyncio.gather(slowly(), *(relay.get(BALANCE) for _ in range(5)))

        raises = named("LatencyBudgetBurnsFast LatencyBudgetBurns NearlyFull")
        yield Scene("slow-answers", admin(relay), happen, raises)


@contextlib.asynccontextmanager
async def full(_: Path) -> AsyncIterator[Scene]:
    """Callers keep most of the connections that there may be, and send bodies that take most of the memory."""
    begun = b"POST /api/payout HTTP/1.1\r\nHost: localhost\r\nContent-Length: 700000\r\n\r\n" + bytes(660_000)
    async with Simulator() as there, sidecar(settings_for(there.url, memory_budget=MIB, max_connections=20)) as relay:

        async def happen() -> None:
            async with contextlib.AsyncExitStack() as opened:
                while True:
                    _, sending = await relay.connection()
                    sending.write(begun)
                    for _ in range(6):
                        for _ in range(10):  # those before end to make room, or because they are idle for too long
                            opened.callback((await relay.connection())[1].close)
                        await asyncio.sleep(1)
                    sending.close()

        yield Scene("full", admin(relay), happen, named("MemoryNearlyFull ConnectionsNearlyFull"))


POLICY: Final = """
[callers.shop]
key_sha256 = "{shop}"
allow = ["collect", "payout", "read_only", "wire_out", "transfer_internally"]
[callers.stranger]
key_sha256 = "{stranger}"
allow = ["read_only"]
"""


@contextlib.asynccontextmanager
async def unusual_activity(folder: Path) -> AsyncIterator[Scene]:
    """After a week of a shop that pays out twice an hour: a burst of payouts, new operations, and a new caller."""
    (shop, shops), (stranger, strangers) = key(), key()
    written = policy(folder, POLICY.format(shop=shops, stranger=strangers))
    async with Simulator() as there, sidecar(settings_for(there.url, policy_file=written)) as relay:

        async def happen() -> None:
            await relay.get(BALANCE, headers={"X-Proxy-Key": stranger})
            for number in range(30):
                await relay.post("/api/payout", payment(number), headers={"X-Proxy-Key": shop})
            await relay.post("/api/account/wire-out", payment(98), headers={"X-Proxy-Key": shop})
            await relay.post("/api/internal-transfer", payment(99), headers={"X-Proxy-Key": shop})
            await asyncio.Event().wait()

        of_job = 'job="unusual-activity"'
        past = {
            f'localpayment_proxy_build_info{{{of_job},instance="{admin(relay)}"}}': 1.0,
            f'localpayment_proxy:operation_requests:increase15m{{{of_job},operation="create_payout"}}': 1.0,
            f'localpayment_proxy:kind_requests:increase1h{{{of_job},kind="money_out"}}': 2.0,
            f'localpayment_proxy:kind_requests:increase1h{{{of_job},kind="money_internal"}}': 0.0,
            f'localpayment_proxy:caller_requests:max{{{of_job},caller="shop"}}': 5.0,
        }
        raises = named("NewOperation PayoutsUnusual UnusualHour NewCaller")
        yield Scene("unusual-activity", admin(relay), happen, raises, past)
