"""Runs the command that the arguments name; the same for `localpayment-proxy` and `python -m proxy`."""

from __future__ import annotations

import sys

import proxy
from proxy.process.startup import prepare


def main() -> int:
    """Carry out the command that argv names, and return its exit code."""
    if not hasattr(proxy, "VERSION"):
        sys.stderr.write(
            "localpayment-proxy: another distribution's package `proxy` was installed over this one. "
            "Fix: install it into an environment of its own, as pipx does.\n"
        )
        return 1
    prepare(sys.argv[1:])

    from proxy.cli.commands import exit_code  # noqa: PLC0415 - a signal that comes during this must find its handler
    from proxy.process.error_location import hide_exception_texts  # noqa: PLC0415 - the same

    hide_exception_texts()
    return exit_code(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
