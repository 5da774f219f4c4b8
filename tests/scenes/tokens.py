"""What goes wrong with tokens, scene by scene."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from proxy.config import EnvironmentSource
from proxy.secret import Secret
from proxy.simulator.faults import Fault, Kind
from proxy.simulator.server import Simulator, SimulatorOptions
from tests.scenes.stage import BALANCE, FastClock, Scene, admin, named
from tests.support.sidecars import settings_for, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@contextlib.asynccontextmanager
async def renewal_fails(_: Path) -> AsyncIterator[Scene]:
    """The token endpoints fail, and the token ages."""
    async with (
        Simulator() as there,
        sidecar(settings_for(there.url), clock=FastClock()) as relay,
    ):

        async def happen() -> None:
            there.add_fault(Fault(Kind.STATUS, "token_endpoints", times=None, status=500))
            await asyncio.Event().wait()

        yield Scene("renewal-fails", admin(relay), happen, named("TokenExpiring NoToken RefreshFailing"))


@contextlib.asynccontextmanager
async def renewal_lags(_: Path) -> AsyncIterator[Scene]:
    """The token endpoints fail each time until less than a minute of the token is left."""
    async with (
        Simulator() as there,
        sidecar(settings_for(there.url), clock=FastClock()) as relay,
    ):

        def left() -> float:
            return relay.sidecar.keeper.expiries[0] or 0.0

        async def happen() -> None:
            while True:
                there.add_fault(Fault(Kind.STATUS, "token_endpoints", times=None, status=503))
                while left() > 50:  # noqa: ASYNC110 - a token's age tells nobody
                    await asyncio.sleep(0.02)
                there.clear_faults()
                while left() < 100:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.02)

        yield Scene("renewal-lags", admin(relay), happen, named("HeadroomShrinking"))


@contextlib.asynccontextmanager
async def password_changes(_: Path) -> AsyncIterator[Scene]:
    """The account's owner changes the password, and ends all sessions."""
    credentials = EnvironmentSource(Secret("merchant"), Secret("an-invented-password"))
    options = SimulatorOptions(username=credentials.username, password=credentials.password)
    async with (
        Simulator(options) as there,
        sidecar(settings_for(there.url, credentials=credentials), clock=FastClock()) as relay,
    ):

        async def happen() -> None:
            there.account.change_password(Secret("another-password"))
            there.revoke()
            await asyncio.Event().wait()

        yield Scene("password-changes", admin(relay), happen, named("CredentialsRejected"))


@contextlib.asynccontextmanager
async def no_other_token(_: Path) -> AsyncIterator[Scene]:
    """Localpayment forgets all tokens while its token endpoints are down."""
    async with Simulator() as there, sidecar(settings_for(there.url, token_wait=0.3)) as relay:

        async def happen() -> None:
            there.add_fault(Fault(Kind.STATUS, "token_endpoints", times=None, status=500))
            there.revoke()
            while True:
                await relay.get(BALANCE)
                await asyncio.sleep(0.2)

        yield Scene("no-other-token", admin(relay), happen, named("TokenRefused"))


@contextlib.asynccontextmanager
async def logins_hang(_: Path) -> AsyncIterator[Scene]:
    """No token ever comes, and calls wait for it."""
    async with Simulator() as there:
        there.add_fault(Fault(Kind.HANG, "token_endpoints", times=None))
        settings = settings_for(there.url, token_wait=0.3, token_timeout=2.0)
        async with sidecar(settings, ready=False) as relay:

            async def happen() -> None:
                while True:
                    await relay.get(BALANCE)
                    await asyncio.sleep(0.1)

            raises = named("OwnOverhead NoToken RefreshFailing ErrorBudgetBurnsFast ErrorBudgetBurns")
            yield Scene("logins-hang", admin(relay), happen, raises, ill=True)


@contextlib.asynccontextmanager
async def tokens_refused(_: Path) -> AsyncIterator[Scene]:
    """Localpayment forgets its tokens, again and again."""
    async with Simulator() as there, sidecar(settings_for(there.url)) as relay:

        async def happen() -> None:
            while True:
                there.revoke("access")
                await relay.get(BALANCE)
                await asyncio.sleep(0.2)

        yield Scene("tokens-refused", admin(relay), happen, named("TokensDisputed"))
