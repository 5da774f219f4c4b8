"""Starts the Simple JWT peer: `python tests/support/simplejwt/server/main.py --port 0 --directory DIR`.

A real Django REST framework + Simple JWT site in one process, loopback only, for tests. The account's name and password
come through the environment; nothing here may print them. The process ends when its standard input does, so that it
cannot outlive the tests that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from pathlib import Path

THREADS = 32  # calls in flight at once; the drain tests hold 20 slow ones and still need some for the tokens


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--directory", type=Path, required=True, help="where the sqlite database is kept")
    parser.add_argument("--access-lifetime", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--refresh-lifetime", type=float, default=86400.0, metavar="SECONDS")
    parser.add_argument("--rotate", action="store_true", help="a refresh brings a new refresh token")
    parser.add_argument("--blacklist", action="store_true", help="rotation ends the old refresh token")
    parser.add_argument("--check-revoke", action="store_true", help="a password change ends access tokens")
    parser.add_argument(
        "--clock-offset", type=float, default=0.0, metavar="SECONDS", help="this server's clock is ahead"
    )
    parser.add_argument("--errors", default="", help="name of the handler that makes the answers of errors")
    parser.add_argument("--session-first", action="store_true", help="try sessions before tokens: 403 in place of 401")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    account = os.environ.get("SIMPLEJWT_USERNAME"), os.environ.get("SIMPLEJWT_PASSWORD")
    if not account[0] or not account[1]:
        sys.stderr.write("set SIMPLEJWT_USERNAME and SIMPLEJWT_PASSWORD to the account that may log in\n")
        return 2
    # A script's own directory comes first on the path; the site is imported by its name from the project's root.
    sys.path[0] = str(Path(__file__).resolve().parents[4])
    from tests.support.simplejwt.server import settings  # noqa: PLC0415 - the path is only now right

    settings.configure(options)
    from waitress import create_server  # noqa: PLC0415 - as the next

    from tests.support.simplejwt.server.control import Control  # noqa: PLC0415 - Django's models need its settings

    control = Control(username=account[0], password=account[1], clock_offset=options.clock_offset)
    site = create_server(settings.application(), host="127.0.0.1", port=options.port, threads=THREADS)
    switches = create_server(control, host="127.0.0.1", port=0, threads=4)
    for server in (site, switches):
        threading.Thread(target=server.run, daemon=True).start()
    ready = {name: f"http://127.0.0.1:{it.effective_port}" for name, it in (("url", site), ("control_url", switches))}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
