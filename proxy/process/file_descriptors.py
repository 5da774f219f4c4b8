"""Tells whether the process is short of file descriptors; the last few are reserved.

Probes, files that are read anew and calls of the token endpoints may take the last ones; callers' connections, and
connections made for their calls, may not.
"""

from __future__ import annotations

import errno
import os
import resource
from typing import Final

RESERVED: Final = 32  # a probe or a scrape takes one, a token call two, looking up a name a few for a moment
_STDIN: Final = 0  # is open: whatever starts the process, or `process`, sees to that
_OF_FEW: Final = 4  # where the system allows hardly more than that, a quarter of them is kept


def scarce() -> bool:
    """Return whether only the reserve is left."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return False
    try:
        lowest_free = os.dup(_STDIN)  # the kernel gives the lowest number that is free
    except OSError as error:
        return error.errno == errno.EMFILE
    os.close(lowest_free)
    return lowest_free >= limit - min(RESERVED, limit // _OF_FEW)
