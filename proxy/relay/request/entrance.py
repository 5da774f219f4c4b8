"""Applies the rules of `admission` to every request of the data listener, as the settings have them.

The field that it asks for must never go on to Localpayment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from proxy.config.addresses import TcpAddress
from proxy.http1.header_cache import keep
from proxy.relay.request.admission import admit, default_hosts, hosts_on_socket_file, origin_form
from proxy.relay.request.request_fields import HOST, PAGE

if TYPE_CHECKING:
    from proxy.config import Settings
    from proxy.relay.request.request_fields import Told

MOST_HOSTS: Final = 64  # that are remembered
_USUAL: Final = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))


class Entrance:
    """The rules of one listener.

    Attributes:
        required: name in lower case and value of a field that must be there; None asks for none.
    """

    def __init__(self, settings: Settings) -> None:
        self._hosts = _hosts(settings)
        self._browsers = settings.allow_browsers
        self._scheme = b"http" if settings.tls_cert_file is None else b"https"
        field = settings.required_header
        self.required = None if field is None else (field.name.lower().encode("ascii"), field.value.encode("ascii"))
        # A request of a known host is looked at no further unless it has one of these, or none where one is asked for.
        self._looked_at = frozenset(PAGE) if field is None else frozenset((HOST,))
        self._known: dict[tuple[bytes, ...] | None, None] = {}

    def admit(self, method: str, target: bytes, told: Told, http_1_1: bool) -> bytes:  # noqa: FBT001 - called for each call
        """Let a request pass; raises as `admission.admit` does.

        Returns:
            The target, which is in origin-form if it came in absolute-form and named this listener (RFC 9112 section
            3.2.2).
        """
        hosts = told.get(HOST)
        if hosts in self._known and method in _USUAL and target[:1] == b"/" and self._looked_at.isdisjoint(told):
            return target
        here = None if target.startswith(b"/") else origin_form(method, target, self._scheme)
        admit(
            method,
            told,
            self._hosts,
            http_1_1=http_1_1,
            authority=None if here is None else here[0],
            browsers=self._browsers,
            required=self.required,
        )
        if here is not None:
            return here[1]
        if hosts is not None:
            keep(self._known, hosts, None, most=MOST_HOSTS)
        return target


def _hosts(settings: Settings) -> frozenset[str]:
    if not isinstance(settings.listen, TcpAddress):
        return hosts_on_socket_file(settings.allowed_hosts)
    return settings.allowed_hosts or default_hosts(settings.listen.host)
