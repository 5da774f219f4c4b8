"""Holds what fields of requests and answers have in common: how names compare, what never crosses a proxy. Pure.

Names are compared with case folded and `_` read as `-`: CGI and WSGI servers read `X_Forwarded_For` so.
"""

from __future__ import annotations

from typing import Final

Field = tuple[bytes, bytes]

PSEUDONYM: Final = b"localpayment-proxy"

FOLD: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_", b"abcdefghijklmnopqrstuvwxyz-")
VIA: Final = b"Via: 1.1 " + PSEUDONYM  # RFC 9110 section 7.6.3; the line that goes both ways
# RFC 9110 section 7.6.1, with the Upgrade parameter of RFC 7540 section 3.2.1.
HOP_BY_HOP: Final = frozenset(
    (b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings")
)
# What Connection holds in honest traffic.
USUAL_OPTIONS: Final = frozenset((b"keep-alive", b"close", b"te", b"upgrade"))
# Connection may name none of these, since without it the call, or the answer, would be another one.
MEANING: Final = frozenset(
    (
        b"x-capture", b"x-client-code", b"x-version", b"x-request-id", b"idempotency-key", b"via",
        b"content-type", b"content-encoding", b"content-language", b"content-range", b"content-disposition",
        b"content-md5", b"content-digest", b"digest", b"accept", b"accept-encoding", b"accept-language", b"range",
        b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"cache-control",
    )
)  # fmt: skip


def connection_options(value: bytes) -> set[bytes]:
    """Return what a Connection field names, folded."""
    return {option.strip(b" \t").translate(FOLD) for option in value.split(b",")} - {b""}
