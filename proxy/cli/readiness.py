"""Says whether the sidecar of this machine is ready: one GET on its admin listener, or one after the other."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING, Final

from proxy.cli.admin_client import NoAnswerError, ask

if TYPE_CHECKING:
    from proxy.config import Listen

ANSWER_SECONDS: Final = 2.0  # one probe; the listener answers from memory, and orchestrators end a probe after 3 s
PAUSE_SECONDS: Final = 1.0  # between two probes while waiting
BODY_SHOWN: Final = 200  # bytes of the reason that /readyz gives


def readiness(admin: Listen, seconds: float = ANSWER_SECONDS) -> str | None:
    """Ask `GET /readyz` once.

    Returns:
        None when the sidecar is ready, else what speaks against it.
    """
    try:
        answer = ask(admin, "GET", "/readyz", seconds=seconds, most=BODY_SHOWN, headers={"Accept": "text/plain"})
    except NoAnswerError as error:
        return str(error)
    if answer.status == http.client.OK:
        return None
    lines = answer.body.decode("utf-8", "replace").splitlines()
    said = " ".join("".join(filter(str.isprintable, line)) for line in lines)
    return f"not ready: {admin}/readyz answered {answer.status} {said}".rstrip()


def wait_until_ready(admin: Listen, seconds: float) -> str | None:
    """Ask once a second for at most so many seconds; returns as `readiness` does."""
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        objection = readiness(admin, min(max(left, 0.1), ANSWER_SECONDS))
        left = deadline - time.monotonic()
        if objection is None or left <= 0:
            return objection
        time.sleep(min(PAUSE_SECONDS, left))
