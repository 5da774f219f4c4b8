"""A service of thirty lines by the recipe for requests: `shop.py URL` sells at POST /orders/ID, and prints its port."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "config" / "callers"))
from pay_requests import pay  # type: ignore[import-not-found]  # a recipe is a file, no package


class Shop(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        order = self.path.rpartition("/")[2]
        try:
            done = pay(sys.argv[1], {"externalId": order, "country": "ARG", "currency": "USD", "amount": 25})
            status, text = (201, "paid") if done.ok else (402, "refused")
        except TimeoutError:
            status, text = 500, "a person must look"
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 0), Shop) as server:
        print(f"port {server.server_port}", flush=True)  # noqa: T201 - how a test learns it
        server.serve_forever()
