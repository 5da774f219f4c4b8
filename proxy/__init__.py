"""localpayment-proxy: a local authenticating reverse proxy for Localpayment."""
