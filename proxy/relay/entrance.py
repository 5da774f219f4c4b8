"""What does the data listener ask of every request before anything else? The rules of `admission`, set by the settings.

The field that it asks for must never go on to Localpayment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config.addresses import TcpAddress
from proxy.relay.admission import admit, default_hosts, hosts_on_socket_file, origin_form

if TYPE_CHECKING:
    from proxy.config import Settings
    from proxy.relay.arrival import Arrival


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

    def admit(self, arrival: Arrival) -> None:
        """Let a request pass, and take the field off it that let it; raises as `admission.admit` does.

        A target in absolute-form that names this listener is in origin-form from then on (RFC 9112 section 3.2.2).
        """
        required = self.required
        here = None if arrival.target.startswith(b"/") else origin_form(arrival.method, arrival.target, self._scheme)
        admit(
            arrival.method,
            arrival.headers,
            self.hosts,
            http_1_1=arrival.http_1_1,
            authority=None if here is None else here[0],
            browsers=self._browsers,
            required=required,
        )
        if here is not None:
            arrival.target = here[1]
        if required is not None:
            arrival.headers = tuple(field for field in arrival.headers if field[0].lower() != required[0])


def _hosts(settings: Settings) -> frozenset[str]:
    if not isinstance(settings.listen, TcpAddress):
        return hosts_on_socket_file(settings.allowed_hosts)
    return settings.allowed_hosts or default_hosts(settings.listen.host)
