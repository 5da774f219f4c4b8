"""Checks that calls reach Localpayment from here with these credentials, in timed steps.

One login, never repeated: how many failed ones lock an account is not documented.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from proxy.cli.check import account, network
from proxy.cli.check.context import CheckContext
from proxy.cli.check.findings import FailedError, Finding, NotNeededError, Result
from proxy.cli.exits import Exit
from proxy.ops.diagnosis import Blame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from proxy.clock import Clock
    from proxy.config import Settings
    from proxy.credentials.model import Credentials


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `prove` returns what it found or raises; the steps after it need it, or not."""

    name: str
    prove: Callable[[CheckContext], Awaitable[str]]
    needed: bool = True


EXITS: Final = {Blame.WAY: Exit.UNAVAILABLE, Blame.PERMISSION: Exit.NO_PERMISSION, Blame.OTHER: Exit.FAILED}
EGRESS: Final = Step("egress proxy", network.tunnel)
STEPS: Final = (
    Step("DNS", network.resolve),
    Step("TCP", network.dial),
    EGRESS,
    Step("TLS", network.secure),
    Step("login", account.log_in),
    Step("token lifetime", account.judge_lifetimes, needed=False),
    Step("clock skew", account.judge_clock, needed=False),
    Step("read call", account.read),
)


async def findings(settings: Settings, credentials: Credentials, clock: Clock, country: str) -> Sequence[Finding]:
    """Run the steps in order; those that need a failed one are skipped."""
    context = CheckContext(settings, credentials, clock, country)
    found: list[Finding] = []
    broken: str | None = None
    try:
        for step in STEPS:
            if step is EGRESS and context.egress is None:
                continue
            if broken is None:
                found.append(await _proven(step, context))
                broken = step.name if step.needed and found[-1].result is Result.FAILED else None
            else:
                found.append(Finding(step.name, Result.SKIPPED, f"not tried, because {broken} failed"))
    finally:
        context.end()
    return found


async def _proven(step: Step, context: CheckContext) -> Finding:
    started = context.clock.now()
    try:
        seen = await step.prove(context)
    except NotNeededError as reason:
        return Finding(step.name, Result.SKIPPED, str(reason))
    except FailedError as error:
        took, why = (context.clock.now() - started) * 1000, error.why
        return Finding(step.name, Result.FAILED, why.cause, why.advice, took, EXITS[why.blame])
    return Finding(step.name, Result.OK, seen, milliseconds=(context.clock.now() - started) * 1000)
