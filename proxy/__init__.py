"""localpayment-proxy: a local authenticating reverse proxy for Localpayment."""

from typing import Final

VERSION: Final = "0.1.0"  # asking the installed package for it would load zipfile, csv and more into every sidecar
