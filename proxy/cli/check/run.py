"""Checks the settings, the ledger and the source of the credentials, and with `live` the way to Localpayment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.cli.check.findings import Finding, Report, Result
from proxy.cli.check.usable_settings import POLICY_FILE, usable_settings
from proxy.cli.exits import Exit
from proxy.cli.stop_signals import cancelled_by_sigterm
from proxy.clock import SystemClock
from proxy.config import SettingsError
from proxy.config.declared_settings import effective
from proxy.credentials.sources import CredentialSourceError, open_source
from proxy.policy.file import read_policy
from proxy.policy.lint import lint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from proxy.config import Settings

SETTINGS: Final = "settings"
POLICY: Final = "policy"
SOURCE: Final = "secret source"


def run_checks(environ: Mapping[str, str], *, live: bool, country: str) -> Report:
    """Run all checks, with `live` those that log in to Localpayment once; one that needs a failed one is skipped."""
    try:
        settings = usable_settings(environ)
    except SettingsError as error:
        steps = [POLICY if problem.variable == POLICY_FILE else SETTINGS for problem in error.problems]
        found = [_wrong(step, str(problem)) for step, problem in zip(steps, error.problems, strict=True)]
        return Report([*found, Finding(SOURCE, Result.SKIPPED, f"not tried, because {steps[0]} failed")])
    fine = Finding(SETTINGS, Result.OK, f"{settings.environment} at {settings.origin}")
    further = asyncio.run(cancelled_by_sigterm(_found(settings, live=live, country=country)))
    outdated = [Finding(SETTINGS, Result.OK, f"but {text}") for text in settings.warnings]
    found = [fine, *outdated, *_policy(settings), *_ledger(settings, live=live), *further]
    return Report(found, effective(settings))


def _policy(settings: Settings) -> Iterator[Finding]:
    """Summarise the policy, and point out what in it is probably not meant."""
    if settings.policy_file is None:
        return
    file = read_policy(settings.policy_file)
    names = ", ".join(caller.name for caller in file.policy.callers)
    yield Finding(POLICY, Result.OK, f"{file.policy.mode} for {names}")
    for odd in lint(file):
        yield Finding(POLICY, Result.OK, f"but look at {odd}")


def _ledger(settings: Settings, *, live: bool) -> Iterator[Finding]:
    if settings.ledger != "off":
        from proxy.cli.check.ledger import ledger_finding  # noqa: PLC0415 - SQLite, and psycopg where it is installed

        yield ledger_finding(settings, live=live)


async def _found(settings: Settings, *, live: bool, country: str) -> Sequence[Finding]:
    clock = SystemClock()
    source = open_source(settings.credentials)
    started = clock.now()
    try:
        credentials = await source.load()
    except CredentialSourceError as error:
        return [_wrong(SOURCE, str(error))]
    took = (clock.now() - started) * 1000
    unsafe = "; but ".join(("", *source.warnings()))
    found = [Finding(SOURCE, Result.OK, f"{source.describe()}{unsafe}", milliseconds=took)]
    if live:
        from proxy.cli.check.live import findings  # noqa: PLC0415 - 0.3 s, only to go to Localpayment

        found += await findings(settings, credentials, clock, country)
    return found


def _wrong(step: str, text: str) -> Finding:
    """Return a failure whose text already says what to do."""
    return Finding(step, Result.FAILED, text, exit_code=Exit.BAD_CONFIGURATION)
