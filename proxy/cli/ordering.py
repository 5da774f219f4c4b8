"""How does a person give the running sidecar an order? One POST on its admin listener, with the key if there is one."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING, Final

from proxy.cli.probe import connection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.config import Listen

KEY_FILE: Final = "PROXY_ADMIN_KEY_FILE"
ANSWER_SECONDS: Final = 15.0  # a reload reads files, and asks nobody on the network before it answers
MOST_TEXT: Final = 64 * 1024  # bytes of an answer
_FAILURES: Final = 400  # RFC 9110 section 15


class UnreadableKeyError(Exception):
    """The admin key cannot be read; the text says what to do."""


def ordered(name: str, admin: Listen, environ: Mapping[str, str]) -> tuple[bool, str]:
    """Give an order.

    Args:
        name: last part of its path.
        admin: the admin listener.
        environ: names the file of the admin key, if there is one.

    Returns:
        Whether it was carried out, and what is to be told.

    Raises:
        UnreadableKeyError: the admin key cannot be read.
    """
    headers = {"Connection": "close", "Content-Length": "0"}
    if path := environ.get(KEY_FILE):
        headers["Authorization"] = f"Bearer {_key(path)}"
    try:
        sent = connection(admin, ANSWER_SECONDS)
        try:
            sent.request("POST", f"/-/{name}", headers=headers)
            answer = sent.getresponse()
            text = answer.read(MOST_TEXT).decode("utf-8", "replace").strip()
        finally:
            sent.close()
    except TimeoutError:
        return (
            False,
            f"no answer from {admin} within {ANSWER_SECONDS:g} s; whether the order was carried out is unknown",
        )
    except OSError as error:
        return False, f"nothing answers at {admin} ({error.strerror or 'no connection'}); is `serve` running there?"
    except http.client.HTTPException:
        return False, f"what answers at {admin} does not speak HTTP"
    return answer.status < _FAILURES, text


def _key(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        message = f"{KEY_FILE}={path}: cannot be read; run this as a user who may, or as the sidecar's own"
        raise UnreadableKeyError(message) from error
