"""Can the settings be used? All that `serve` would refuse before it listens, found without listening."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.config import Problem, SettingsError, load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from proxy.config import Settings


def usable_settings(environ: Mapping[str, str]) -> Settings:
    """Load the settings, and try whether OpenSSL can read the CA file that they name.

    Raises:
        SettingsError: something is wrong; it names every mistake there is.
    """
    settings = load_settings(environ)
    if settings.upstream_ca_file is not None:
        from proxy.upstream.tls import tls_context  # noqa: PLC0415 - asyncio and ssl, needed by this branch alone

        try:
            tls_context(settings.upstream_ca_file)
        except ValueError:
            text = "OpenSSL can read no certificate in it: name a PEM file of CA certificates"
            raise SettingsError((Problem("PROXY_UPSTREAM_CA_FILE", str(settings.upstream_ca_file), text),)) from None
    return settings
