"""Holds what one live check carries from step to step, and turns what a step met into its failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from proxy.cli.check.findings import FailedError
from proxy.ops.diagnosis import Failure, Site, diagnose
from proxy.tokens.issuer import FetchResult

if TYPE_CHECKING:
    import asyncio
    import ssl
    from collections.abc import Sequence

    from aiohappyeyeballs import AddrInfoType

    from proxy.clock import Clock
    from proxy.config import EgressProxy, Settings
    from proxy.credentials.model import Credentials
    from proxy.tokens.model import Issued
    from proxy.upstream.model import Obstacle


@dataclass(slots=True)
class CheckContext:
    """Settings, and the results of the steps so far.

    Attributes:
        country: ISO 3166-1 alpha-3 code that the read call asks about.
        addresses: what the name was resolved to.
        stream: the connection of the network steps.
        tls: the context of every TLS connection; None before the TLS step, and for a plain origin.
        issued: the token pair.
    """

    settings: Settings
    credentials: Credentials = field(repr=False)
    clock: Clock
    country: str
    addresses: Sequence[AddrInfoType] = ()
    stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    tls: ssl.SSLContext | None = None
    issued: Issued | None = field(default=None, repr=False)

    @property
    def egress(self) -> EgressProxy | None:
        """The egress proxy, if calls go through one: plain calls stay on this machine."""
        return self.settings.egress_proxy if self.settings.origin.tls else None

    @property
    def site(self) -> Site:
        """What is dialled, and the setting that names it."""
        return Site.of(self.settings)

    def failed(self, failure: Failure) -> FailedError:
        """Return what a step that met this fails with."""
        return FailedError(diagnose(failure, self.site))

    def obstructed(self, met: Obstacle, seen: str) -> FailedError:
        """Return what a step fails with that found no way; `seen` says what it saw."""
        return self.failed(Failure(None, FetchResult.UNREACHABLE, None, seen, met))

    def end(self) -> None:
        """Leave no socket behind."""
        if self.stream is not None:
            self.stream[1].transport.abort()
