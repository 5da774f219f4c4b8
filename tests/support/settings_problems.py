"""Settings of a sandbox, and what is wrong with them once some are added."""

from __future__ import annotations

from proxy.config import SettingsError, load_settings

SANDBOX = {
    "LOCALPAYMENT_ENVIRONMENT": "sandbox",
    "LOCALPAYMENT_USERNAME": "name",
    "LOCALPAYMENT_PASSWORD": "word",
}


def told(**environ: str) -> list[str]:
    """The problems of settings, as an operator reads them."""
    try:
        load_settings({**SANDBOX, **environ})
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []
