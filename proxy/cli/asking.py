"""How is the running sidecar asked for its status? One GET on its admin listener."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Final

from proxy.cli.probe import ANSWER_SECONDS, connection

if TYPE_CHECKING:
    from proxy.config import Listen

LARGEST: Final = 4 * 1024 * 1024  # bytes; a status has some ten thousand


class NoStatusError(Exception):
    """No status was got; the text says why and what to do."""


def fetched(where: Listen) -> dict[str, Any]:
    """Ask for the status.

    Raises:
        NoStatusError: there is none to be had.
    """
    try:
        asking = connection(where, ANSWER_SECONDS)
        try:
            asking.request("GET", "/status", headers={"Accept": "application/json", "Connection": "close"})
            answer = asking.getresponse()
            body = answer.read(LARGEST)
        finally:
            asking.close()
        view = json.loads(body) if answer.status == http.client.OK else None
    except OSError as error:
        reason = error.strerror or "no answer in time"
        message = f"nothing answers at {where} ({reason}); is `serve` running there?"
        raise NoStatusError(message) from None
    except (http.client.HTTPException, ValueError):
        view = None
    if not isinstance(view, dict) or "environment" not in view:
        message = (
            f"what answers at {where} is no sidecar's admin listener, or refuses this host: see PROXY_ADMIN_LISTEN"
        )
        raise NoStatusError(message)
    return view
