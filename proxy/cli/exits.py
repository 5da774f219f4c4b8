"""Declares the exit codes.

Public interface: scripts, init systems and the container's health check decide by them.
"""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended; 69, 77 and 78 are EX_UNAVAILABLE, EX_NOPERM and EX_CONFIG of BSD's sysexits.h."""

    FINE = 0
    FAILED = 1
    USAGE = 2
    UNAVAILABLE = 69
    NO_PERMISSION = 77
    BAD_CONFIGURATION = 78
