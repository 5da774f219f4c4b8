"""What a test may change while the server runs: a WSGI application on its own loopback port, JSON in and out.

It stands for what happens at Localpayment out of our sight: an account closed, a password changed, keys replaced.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from rest_framework_simplejwt.state import token_backend
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from tests.support.simplejwt.server.clock import clock, install
from tests.support.simplejwt.server.ledger import ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Control:
    """The switches; `POST /NAME` with a JSON object of arguments works one."""

    def __init__(self, *, username: str, password: str, clock_offset: float) -> None:
        self._username = username
        self._password = password
        self._clock_offset = clock_offset
        self._switches: dict[str, Callable[..., object]] = {
            "/counts": ledger.counts,
            "/held": ledger.held,
            "/release": ledger.release,
            "/clock": self.clock,
            "/user": self.user,
            "/password": self.change_password,
            "/blacklist": self.blacklist,
            "/signing-key": self.replace_signing_key,
            "/reset": self.reset,
        }
        install()
        self.reset()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        switch = self._switches.get(environ["PATH_INFO"])
        if switch is None:
            start_response("404 Not Found", [("Content-Type", "application/json")])
            return [json.dumps({"switches": sorted(self._switches)}).encode()]
        done = switch(**json.loads(environ["wsgi.input"].read() or b"{}"))
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(done).encode()]

    def clock(self, offset: float) -> None:
        """Put the server `offset` seconds ahead of the machine, or behind it."""
        clock.offset = offset

    def user(self, state: str) -> None:
        """Make the account `active`, `inactive` or `deleted`."""
        users = get_user_model().objects.filter(username=self._username)
        if state == "deleted":
            users.delete()
        else:
            users.update(is_active={"active": True, "inactive": False}[state])

    def change_password(self, password: str) -> None:
        user = get_user_model().objects.get(username=self._username)
        user.set_password(password)
        user.save()

    def blacklist(self) -> int:
        """End every refresh token given out so far; tell how many."""
        made = [BlacklistedToken.objects.get_or_create(token=token)[1] for token in OutstandingToken.objects.all()]
        return sum(made)

    def replace_signing_key(self) -> None:
        """End every token at once: HS256 checks with the key that it signs with, so the old ones no longer verify."""
        token_backend.signing_key = secrets.token_hex(32)
        token_backend.__dict__.pop("prepared_signing_key", None)

    def reset(self) -> None:
        """Make the server as it was when it started, with its clock, account and password, and no token of before."""
        ledger.release()
        clock.offset = self._clock_offset
        BlacklistedToken.objects.all().delete()
        OutstandingToken.objects.all().delete()
        get_user_model().objects.all().delete()
        get_user_model().objects.create_user(username=self._username, password=self._password)
        self.replace_signing_key()
        ledger.clear()
