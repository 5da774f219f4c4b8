"""Reads where the outcome ledger is kept: `sqlite:/path`, `postgresql://…` or `off`. Pure.

It never quotes what it refuses: an address can hold a password.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from proxy.config.parsing import refuse
from proxy.secret import Secret

_SCHEMES: Final = ("postgresql://", "postgres://")
# Parameters of an address that name a file: PostgreSQL's documentation, section "Parameter Key Words" of libpq.
_FILES: Final = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_LOCAL: Final = frozenset(("localhost", "127.0.0.1", "::1"))


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """A SQLite file; str() is as it was written."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite:{self.path}"


@dataclass(frozen=True, slots=True)
class LedgerDatabase:
    """A PostgreSQL database; its address may hold a password, and is never shown."""

    address: Secret

    def __str__(self) -> str:
        return "postgresql://[redacted]"

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the address names, which libpq reads at each connection."""
        named = parse_qs(self.address.reveal().partition("?")[2])
        return tuple(Path(path) for name in _FILES for path in named.get(name, ()) if path.startswith("/"))

    @property
    def proven(self) -> bool:
        """Whether the server is on this machine, or has to prove by a certificate that it is the one that is named."""
        try:
            parts = urlsplit(self.address.reveal())
        except ValueError:
            return False
        told = parse_qs(parts.query)
        host = told.get("host", [parts.hostname or "localhost"])[-1]
        return host in _LOCAL or host.startswith("/") or told.get("sslmode") == ["verify-full"]


LedgerPlace = LedgerFile | LedgerDatabase | Literal["off"]


def ledger_place(value: object) -> LedgerPlace:
    """Read where the ledger is kept."""
    text = (value.reveal() if isinstance(value, Secret) else value if isinstance(value, str) else "").strip()
    if text.lower() == "off":
        return "off"
    if text.startswith(_SCHEMES):
        if not text.isprintable() or " " in text:
            refuse("must hold no white space or control character: percent-encode them")
        return LedgerDatabase(Secret(text))
    path = text.removeprefix("sqlite:")
    if path == text or not path.startswith("/") or path.startswith("//") or path.endswith("/") or "\0" in path:
        refuse("write sqlite:/path, such as sqlite:/var/lib/localpayment-proxy/ledger.db, or postgresql://…, or off")
    return LedgerFile(Path(path))
