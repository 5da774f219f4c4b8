"""Decides whether the admin listener serves a request. Pure, over its method, path and raw fields.

Probes and metrics may be read under any Host: kubelet and Prometheus call by address. Requests of browsers, the status
page and commands must name an accepted host. A command must never come from a page, nor without the key if one is set.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from proxy.config import TcpAddress
from proxy.errors import BrowserForbiddenError
from proxy.relay.request.admission import LOOPBACK_HOSTS, check_browser, check_host, default_hosts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proxy.config import Listen
    from proxy.secret import Secret

_READS: Final = frozenset(("GET", "HEAD"))
_BROWSER: Final = frozenset((b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest"))
_FOREIGN: Final = frozenset((b"cross-site", b"same-site"))
_STATUS: Final = "/status"


class AdminKeyError(Exception):
    """A command without the admin key, or with a wrong one."""


class AdminAccess:
    """The rules of one admin listener.

    Args:
        hosts: accepted hosts, as `check_host` takes them.
        key: what commands must carry, or None.
    """

    def __init__(self, hosts: frozenset[str], key: Secret | None) -> None:
        self._hosts = hosts
        self._digest = None if key is None else _digest(key.reveal().encode())

    def check(self, method: str, path: str, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Let a request pass.

        Raises:
            BadRequestError, HostForbiddenError, BrowserForbiddenError: as on the data listener.
            AdminKeyError: a command carries no key, or a wrong one.
        """
        found = [(name.lower(), value) for name, value in fields]
        hosts = [value for name, value in found if name == b"host"]
        if method not in _READS:
            check_host(hosts, self._hosts)
            check_browser(found)
            self._check_key(found)
        elif path.startswith(_STATUS) or any(name in _BROWSER for name, _ in found):
            check_host(hosts, self._hosts)
            _check_reader(dict(found))

    def _check_key(self, found: Sequence[tuple[bytes, bytes]]) -> None:
        if self._digest is None:
            return
        given = [value for name, value in found if name == b"authorization"]
        scheme, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        # Digests have one length, so that the comparison tells nothing of the key's.
        if scheme.lower() != b"bearer" or not hmac.compare_digest(_digest(key.strip()), self._digest):
            raise AdminKeyError


def admin_hosts(listen: Listen, allowed: frozenset[str] | None) -> frozenset[str]:
    """Return the accepted hosts: those of the setting, and always the loopback names and the address listened on."""
    own = default_hosts(listen.host) if isinstance(listen, TcpAddress) else LOOPBACK_HOSTS
    return own | (allowed or frozenset())


def _check_reader(found: dict[bytes, bytes]) -> None:
    """Raise BrowserForbiddenError for a page of another site; a link that a person follows is none."""
    foreign = found.get(b"sec-fetch-site") in _FOREIGN
    if b"origin" in found or (foreign and found.get(b"sec-fetch-mode") != b"navigate"):
        detail = "Pages of other sites may not read the admin listener; open it in a tab of its own."
        raise BrowserForbiddenError(detail)


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
