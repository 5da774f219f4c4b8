"""Are the settings right, can the credentials be read, and with `live`: can Localpayment be reached with them?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from proxy.cli.check.findings import Finding, Report, Result
from proxy.cli.exits import Exit
from proxy.cli.loading import usable_settings
from proxy.clock import SystemClock
from proxy.config import SettingsError
from proxy.config.effective import effective
from proxy.credentials.sources import CredentialSourceError, open_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from proxy.config import Settings

SETTINGS: Final = "settings"
SOURCE: Final = "secret source"


def checked(environ: Mapping[str, str], *, live: bool, country: str) -> Report:
    """Check everything; what one failure makes impossible is not tried.

    Args:
        environ: environment variables.
        live: whether to go to Localpayment, which logs in once.
        country: what the read call asks about, an ISO 3166-1 alpha-3 code.
    """
    try:
        settings = usable_settings(environ)
    except SettingsError as error:
        problems = [_wrong(SETTINGS, str(problem)) for problem in error.problems]
        return Report([*problems, Finding(SOURCE, Result.SKIPPED, f"not tried, because {SETTINGS} failed")])
    shown = effective(settings)
    fine = Finding(SETTINGS, Result.OK, f"{settings.environment} at {settings.origin}")
    return Report([fine, *asyncio.run(_found(settings, live=live, country=country))], shown)


async def _found(settings: Settings, *, live: bool, country: str) -> Sequence[Finding]:
    source = open_source(settings.credentials)
    try:
        credentials = await source.load()
    except CredentialSourceError as error:
        return [_wrong(SOURCE, str(error))]
    unsafe = "; but ".join(("", *source.warnings()))
    found = [Finding(SOURCE, Result.OK, f"{source.describe()}{unsafe}")]
    if live:
        from proxy.cli.check.live import findings  # noqa: PLC0415 - aiohttp, only to go to Localpayment

        found += await findings(settings, credentials, SystemClock(), country)
    return found


def _wrong(step: str, text: str) -> Finding:
    """Return a failure whose text says already what to do."""
    return Finding(step, Result.FAILED, text, exit_code=Exit.BAD_CONFIGURATION)
