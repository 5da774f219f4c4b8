"""argv and environ → exit code; the same for `localpayment-proxy` and `python -m proxy`."""

from __future__ import annotations

import sys

from proxy.cli.commands import exit_code
from proxy.place import tell_places_only


def main() -> int:
    """Carry out the command that argv names, and return its exit code."""
    tell_places_only()
    return exit_code(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
