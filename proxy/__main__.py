"""argv and environ → exit code; the same for `localpayment-proxy` and `python -m proxy`."""

from __future__ import annotations

import sys

from proxy.process.early_signals import prepare


def main() -> int:
    """Carry out the command that argv names, and return its exit code."""
    prepare(sys.argv[1:])

    from proxy.cli.commands import exit_code  # noqa: PLC0415 - a signal that comes during this must find its handler
    from proxy.process.traceback_places import tell_places_only  # noqa: PLC0415 - the same

    tell_places_only()
    return exit_code(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
