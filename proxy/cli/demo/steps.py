"""Lists the demo's steps in order: the calls it makes, and what must be true of each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.cli.demo.client import WrongError, promise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from proxy.cli.demo.client import DemoClient, Reply

ACCOUNT: Final = "032.840.00000001"
BALANCE: Final = f"/api/accounts/{ACCOUNT}/balance"
OPENING_BALANCE: Final = 100000.0
AMOUNT: Final = 25
# The first access tokens live so short that a renewal can be watched; the next ones live as Localpayment's do.
FIRST_LIFETIME: Final = 4.0  # seconds
LATER_LIFETIME: Final = 300.0  # seconds


async def login(demo: DemoClient) -> None:
    """Wait until the sidecar has logged in by itself."""
    await demo.until(demo.ready, "the first login")
    promise(await demo.generation(), 1, "the token generation")
    await demo.look("/readyz")
    demo.note("Username and password went to the token endpoint, once. Token generation 1 is held in memory.")


async def balance(demo: DemoClient) -> None:
    """Read a balance: no credential, no token."""
    reply = await demo.call(BALANCE)
    promise(reply.status, 200, "the status")
    promise(reply.content["balance"], OPENING_BALANCE, "the balance")
    demo.note("The sidecar added the Authorization header; the caller holds no credential.")


async def payin(demo: DemoClient) -> None:
    """Collect a payment."""
    reply = await demo.call("/api/payin", card_payment("demo-1"))
    _completed(reply, 201)


async def status(demo: DemoClient) -> None:
    """Ask what became of it."""
    reply = await demo.call("/api/transactions/demo-1/status")
    _completed(reply, 200)


async def duplicate(demo: DemoClient) -> None:
    """Send the same payment again: Localpayment rejects a repeated externalId."""
    reply = await demo.call("/api/payin", card_payment("demo-1"))
    promise(reply.status, 400, "the status")
    promise(reply.content["status"]["code"], "500", "the business code")
    promise(demo.simulator.executions("create_payin", "demo-1"), 1, "the number of payments made")
    demo.note('A repeat is rejected, not replayed, and the answer crosses unchanged: "500" is a business code.')


async def revoked(demo: DemoClient) -> None:
    """Let Localpayment revoke the token, and pay all the same."""
    before = await demo.generation()
    await demo.command("/tokens/revoke", {"kind": "access"})
    reply = await demo.call("/api/payin", card_payment("demo-2"))
    _completed(reply, 201)
    promise(demo.simulator.executions("create_payin", "demo-2"), 1, "the number of payments made")
    promise(await demo.count("resends_total") > 0, True, "that the call was sent again")
    after = await demo.generation()
    promise(after > before, True, "that a new token is in use")
    demo.note(f"A 401 proves that nothing was done: the sidecar got a new token (generation {after}) and sent the call")
    demo.note("once more. The caller noticed nothing, and one payment was made.")


async def rotation(demo: DemoClient) -> None:
    """Watch the token being renewed in the background."""
    demo.simulator.change_settings(access_lifetime=LATER_LIFETIME)
    before, refused = await demo.generation(), demo.simulator.unauthorized

    async def renewed() -> bool:
        return await demo.generation() > before

    await demo.until(renewed, "the renewal of the token")
    demo.note(f"Tokens lived {FIRST_LIFETIME:g} s so far; the sidecar renewed its own in the background, in time.")
    demo.note(f"Token generation {await demo.generation()} is in use now.")
    reply = await demo.call(BALANCE)
    promise(reply.status, 200, "the status")
    promise(reply.content["balance"], OPENING_BALANCE + 2 * AMOUNT, "the balance")
    promise(demo.simulator.unauthorized, refused, "the number of calls with a dead token")


async def lost_answer(demo: DemoClient) -> None:
    """Lose an answer: the payment was made, and its outcome is not known yet."""
    await demo.command("/faults", {"operation": "create_payin", "kind": "drop_after_read", "times": 1})
    reply = await demo.call("/api/payin", card_payment("demo-3"))
    promise(reply.status, 502, "the status")
    promise(reply.content["outcome"], "unknown", "the outcome")
    promise(demo.simulator.attempts("create_payin", "demo-3"), 1, "the number of times that it was sent")
    demo.note("502 means: sent, outcome unknown. It is never sent again; asking for its status settles it:")
    _completed(await demo.call("/api/transactions/demo-3/status"), 200)


async def killed(demo: DemoClient) -> None:
    """Kill the sidecar in mid-payment, start it again, and learn what became of the payment."""
    await demo.command("/faults", {"operation": "create_payin", "kind": "latency", "seconds": 60})
    paying = asyncio.create_task(demo.call("/api/payin", card_payment("demo-4")))
    await demo.until(demo.simulator.faults.used_up.is_set, "the payment's arrival at Localpayment")
    await demo.kill()
    demo.simulator.clear_faults()
    (lost,) = await asyncio.gather(paying, return_exceptions=True)
    promise(isinstance(lost, WrongError), True, "that its caller got no answer")
    await demo.until(lambda: demo.simulator.executions("create_payin", "demo-4") == 1, "the payment")
    demo.note("Localpayment made the payment. Its caller got no answer, and what carried it is dead.")
    await demo.sidecar.start()
    await demo.until(demo.ready, "the login of the next sidecar")
    found = await demo.run("ledger", "list", "--open")
    promise("interrupted" in found, True, "that the payment is known as interrupted")
    demo.note("The ledger had it on the disk before its first byte went out. Half a minute later the sidecar would ask")
    demo.note("Localpayment by itself; so it does now:")
    settled = await demo.run("ledger", "settle")
    promise("create_payin: executed (COMPLETED)" in settled, True, "that the payment is known as made")
    promise(demo.simulator.executions("create_payin", "demo-4"), 1, "the number of payments made")


async def token_endpoint(demo: DemoClient) -> None:
    """Ask for a token through the sidecar: refused."""
    reply = await demo.call("/api/token/", {"username": "anyone", "password": "anything"})
    promise(reply.status, 403, "the status")
    promise(reply.content["code"], "operation_forbidden", "the code")


STEPS: Final[tuple[Callable[[DemoClient], Awaitable[None]], ...]] = (
    login,
    balance,
    payin,
    status,
    duplicate,
    revoked,
    rotation,
    lost_answer,
    killed,
    token_endpoint,
)


async def run_steps(demo: DemoClient) -> int:
    """Run every step; return how many went wrong."""
    wrong = 0
    for number, step in enumerate(STEPS, 1):
        demo.tell(f"\n{number}. {(step.__doc__ or '').strip()}")
        try:
            await step(demo)
        except WrongError as error:
            wrong += 1
            demo.tell(f"  WRONG: {error}")
        except (KeyError, TypeError, ValueError) as error:
            wrong += 1
            demo.tell(f"  WRONG: the answer has not the expected shape ({type(error).__name__})")
    return wrong


def card_payment(external_id: str) -> dict[str, object]:
    """Return the body of a card payment in dollars."""
    method = {"type": "CreditCard", "code": "1001"}
    return {"externalId": external_id, "country": "ARG", "currency": "USD", "amount": AMOUNT, "paymentMethod": method}


def _completed(reply: Reply, expected: int) -> None:
    promise(reply.status, expected, "the status")
    promise(reply.content["status"]["description"], "COMPLETED", "the payment")
