"""Runs the command that the arguments name; the same for `localpayment-proxy` and `python -m proxy`."""

from __future__ import annotations

import sys

from proxy.process.startup import prepare


def main() -> int:
    """Carry out the command that argv names, and return its exit code."""
    prepare(sys.argv[1:])

    from proxy.cli.commands import exit_code  # noqa: PLC0415 - a signal that comes during this must find its handler
    from proxy.process.error_location import hide_exception_texts  # noqa: PLC0415 - the same

    hide_exception_texts()
    return exit_code(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
