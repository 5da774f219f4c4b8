"""The machine of a measurement: cores, processor, kernel and versions; never a path or a host name."""

from __future__ import annotations

import os
import platform
import ssl
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.benchmarks.contenders import MAKERS, OURS
from tests.benchmarks.tools import WRK

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIBRARIES: Final = ("uvloop", "httptools", "aiohttp")


def described(contenders: Iterable[str]) -> dict[str, str]:
    """Return what there is to say, by its name."""
    facts = {
        "processor": processor(Path("/proc/cpuinfo").read_text()),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_version()}, built {platform.python_build()[1]} by {platform.python_compiler()}",
        "TLS": ssl.OPENSSL_VERSION,
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "wrk": WRK.version(),
    }
    for name in contenders:
        _, tool = MAKERS[name]
        if tool is not None:
            facts[name] = tool.version()
        elif name == OURS:
            facts[name] = version("localpayment-proxy")
    return facts


def processor(cpuinfo: str) -> str:
    """Return the processor's name out of /proc/cpuinfo, and whether it is a virtual one."""
    fields = dict(line.split(":", 1) for line in cpuinfo.splitlines() if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    virtual = ", in a virtual machine" if "hypervisor" in named.get("flags", "").split() else ""
    return named.get("model name", "unknown") + virtual
