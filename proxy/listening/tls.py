"""Makes the TLS context that callers meet: our certificate, those asked of them, and why a handshake failed.

It must never ask for a passphrase on a terminal, and never fall back to taking callers without a certificate.
"""

from __future__ import annotations

import ssl
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NoReturn, cast

from proxy.config.files import UnusableSettingError
from proxy.process import landlock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proxy.config import Settings


KEY: Final = "PROXY_TLS_KEY_FILE"
CLIENT_CA: Final = "PROXY_TLS_CLIENT_CA_FILE"


class Refusal(StrEnum):
    """Why a handshake failed: the values of a metric's label."""

    NO_CERTIFICATE = "no_certificate"
    UNTRUSTED = "untrusted"
    PLAIN_HTTP = "plain_http"
    OTHER = "other"


class _Handshake(ssl.SSLObject):
    """One caller's, which tells when it fails: asyncio says nothing of that."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            cast("CallerTls", self.context).refused(_refusal(error))
            raise


class CallerTls(ssl.SSLContext):
    """What is shown to callers, and asked of them.

    Attributes:
        refused: told of each handshake that failed; must not raise or block.
    """

    sslobject_class = _Handshake
    refused: Callable[[Refusal], None]


class CertificateError(UnusableSettingError):
    """A certificate, key or CA file cannot be used."""


def caller_tls(settings: Settings, refused: Callable[[Refusal], None] = lambda _: None) -> CallerTls | None:
    """Return what the settings ask for, None for plain HTTP; blocks while files are read.

    Raises:
        CertificateError: a file cannot be used.
    """
    certificate, key, client_ca = settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file
    if certificate is None or key is None:
        return None
    context = CallerTls(ssl.PROTOCOL_TLS_SERVER)
    context.refused = refused
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _show(context, certificate, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(cafile=client_ca)
        except OSError as error:
            text = f"OpenSSL can read no certificate in it: name a PEM file of CA certificates{landlock.hint(error)}"
            raise CertificateError(CLIENT_CA, client_ca, text) from error
    return context


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _PassphraseError:
        text = "the key has a passphrase: write it without one, readable by this process alone"
        raise CertificateError(KEY, key, text) from None
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"it is not the key of {certificate}: name the pair that belongs together"
        else:
            text = f"OpenSSL cannot read it, or {certificate}: name two PEM files, one with the chain, one with its key"
        raise CertificateError(KEY, key, text) from error
    except OSError as error:
        text = f"it or {certificate} cannot be read ({error.strerror}): check both paths{landlock.hint(error)}"
        raise CertificateError(KEY, key, text) from error


class _PassphraseError(Exception):
    pass


def _no_passphrase(*_: object) -> NoReturn:
    """Stand in for OpenSSL's question on the terminal."""
    raise _PassphraseError


def _refusal(error: ssl.SSLError) -> Refusal:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refusal.UNTRUSTED
    return _REASONS.get(error.reason, Refusal.OTHER)


# OpenSSL's own words, of which it knows the commonest methods.
_REASONS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": Refusal.NO_CERTIFICATE,
    "HTTP_REQUEST": Refusal.PLAIN_HTTP,
    "HTTPS_PROXY_REQUEST": Refusal.PLAIN_HTTP,
}
