"""What does the data listener ask of every request before anything else? The rules of `admission`, set by the settings.

The field that it asks for must never go on to Localpayment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.addresses import TcpAddress
from proxy.relay.request.admission import admit, default_hosts, hosts_on_socket_file, origin_form

if TYPE_CHECKING:
    from proxy.config import Settings

    Field = tuple[bytes, bytes]


class Entrance:
    """The rules of one listener.

    Attributes:
        hosts: as for `admission.check_host`.
        required: name in lower case and value of a field that must be there; None asks for none.
    """

    def __init__(self, settings: Settings) -> None:
        self.hosts = _hosts(settings)
        self._browsers = settings.allow_browsers
        self._scheme = b"http" if settings.tls_cert_file is None else b"https"
        field = settings.required_header
        self.required = None if field is None else (field.name.lower().encode("ascii"), field.value.encode("ascii"))

    def admit(
        self, method: str, target: bytes, headers: tuple[Field, ...], *, http_1_1: bool
    ) -> tuple[bytes, tuple[Field, ...]]:
        """Let a request pass; raises as `admission.admit` does.

        Returns:
            The target, which is in origin-form if it came in absolute-form and named this listener (RFC 9112 section
            3.2.2), and the fields without the one that let the request pass.
        """
        required = self.required
        here = None if target.startswith(b"/") else origin_form(method, target, self._scheme)
        admit(
            method,
            headers,
            self.hosts,
            http_1_1=http_1_1,
            authority=None if here is None else here[0],
            browsers=self._browsers,
            required=required,
        )
        if required is not None:
            headers = tuple(field for field in headers if field[0].lower() != required[0])
        return (target if here is None else here[1]), headers


def _hosts(settings: Settings) -> frozenset[str]:
    if not isinstance(settings.listen, TcpAddress):
        return hosts_on_socket_file(settings.allowed_hosts)
    return settings.allowed_hosts or default_hosts(settings.listen.host)
