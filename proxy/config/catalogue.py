"""Which settings are there? One table, the source of names, defaults and documentation alike.

A default is written as an operator would write it, and is read by the same code.
"""

from __future__ import annotations

import difflib
import re

from proxy.config import account_settings as account
from proxy.config import safety_settings as safety
from proxy.config import sidecar_settings as sidecar

PREFIXES = ("LOCALPAYMENT_", "PROXY_")

# What Kubernetes puts into every container of a namespace that has a Service named `proxy` or `localpayment-…`
# (kubernetes.io/docs/concepts/services-networking/service, environment variables): not ours, and no mistake.
_SERVICE_LINK = re.compile(r".+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


SECTIONS = (
    account.LOCALPAYMENT,
    account.USERNAME_AND_PASSWORD,
    account.ONE_DOCUMENT,
    account.VAULT,
    account.AWS,
    account.READING_AGAIN,
    sidecar.LISTENING,
    safety.TLS,
    safety.SAFETY,
    sidecar.SIZES,
    sidecar.TIMES,
    sidecar.ANSWERS,
    sidecar.STOPPING,
    sidecar.WAY,
    sidecar.PROCESS,
    sidecar.LOGS,
    sidecar.TRACES,
    sidecar.FILE,
)
SETTINGS = {setting.variable: setting for section in SECTIONS for setting in section.settings}


def is_service_link(variable: str, value: str) -> bool:
    """Whether Kubernetes made a variable for a Service of the same namespace."""
    if _SERVICE_LINK.fullmatch(variable) is not None:
        return True
    return variable.endswith("_PORT") and _SERVICE_URL.match(value) is not None


def near_miss(name: str) -> str | None:
    """Return the variable that a wrong name most likely means, or None."""
    variable = name.upper()
    ending = variable
    for prefix in PREFIXES:
        ending = ending.removeprefix(prefix)
    for candidate in (variable, *(prefix + ending for prefix in PREFIXES)):
        if candidate in SETTINGS:
            return candidate
    return next(iter(difflib.get_close_matches(variable, SETTINGS, n=1, cutoff=0.8)), None)
