"""A source that changes is noticed, once, whole, and without ever losing what is held."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest

from proxy.config import CredentialsFileSource, EnvironmentSource, FilesSource, VaultSource, VaultToken
from proxy.credentials.model import Credentials, Source
from proxy.credentials.sources import CredentialSourceError, open_source
from proxy.credentials.watch import Recovered, Reloaded, ReloadFailed, Watch
from proxy.secret import Secret
from tests.support.mounts import kubernetes_mount
from tests.support.owned_clock import BOUND, OwnedClock
from tests.support.vault_server import ROOT, vault_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from proxy.credentials.watch import Event


def pair(username: str, password: str) -> Credentials:
    return Credentials(Secret(username), Secret(password))


class Told:
    """What a watch has reported."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue()

    def report(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def next(self) -> Event:
        async with asyncio.timeout(BOUND):
            return await self._events.get()

    @property
    def nothing(self) -> bool:
        return self._events.empty()


class Scripted(Source):
    """A source that says what its test has written down, and then the last of it without end."""

    def __init__(self, *answers: Credentials | str | Exception, interval: float | None = 300.0) -> None:
        self.interval = interval
        self._answers = list(answers)
        self.loads = 0

    async def load(self) -> Credentials:
        self.loads += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, str):
            raise CredentialSourceError(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def describe(self) -> str:
        return "a script"


@pytest.fixture
def clock() -> OwnedClock:
    return OwnedClock()


@pytest.fixture
def told() -> Told:
    return Told()


@contextlib.asynccontextmanager
async def watching(source: Source, held: Credentials | None, clock: OwnedClock, told: Told) -> AsyncIterator[Watch]:
    watch = Watch(source, held=held, clock=clock, report=told.report)
    task = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        assert not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def mounted(tmp_path: Path) -> FilesSource:
    (tmp_path / "username").write_text("name")
    (tmp_path / "password").write_text("word")
    return FilesSource(tmp_path / "username", tmp_path / "password")


async def test_a_file_replaced_by_a_rename_is_noticed(
    mounted: FilesSource, tmp_path: Path, clock: OwnedClock, told: Told
) -> None:
    async with watching(open_source(mounted), pair("name", "word"), clock, told):
        await clock.advance(5)
        (tmp_path / "new").write_text("other")
        await clock.asleep()
        (tmp_path / "new").rename(tmp_path / "password")
        await clock.advance(5)
        assert await clock.asleep() == 1.0  # a change is looked at twice
        assert told.nothing
        await clock.advance(1)
        assert await told.next() == Reloaded(pair("name", "other"))
        await clock.advance(5)
        await clock.asleep()
        assert told.nothing


async def test_a_kubernetes_volume_is_noticed_when_it_swaps(tmp_path: Path, clock: OwnedClock, told: Told) -> None:
    source = open_source(kubernetes_mount(tmp_path, "1", "name", "word"))
    async with watching(source, pair("name", "word"), clock, told):
        await clock.asleep()
        kubernetes_mount(tmp_path, "2", "name-2", "word-2")
        await clock.advance(5)
        await clock.advance(1)
        assert await told.next() == Reloaded(pair("name-2", "word-2"))


async def test_a_document_replaced_by_a_broken_one_keeps_what_is_held(
    tmp_path: Path, clock: OwnedClock, told: Told
) -> None:
    path = tmp_path / "account.toml"
    path.write_text('username = "name"\npassword = "word"\n')
    async with watching(open_source(CredentialsFileSource(path), 2.0), pair("name", "word"), clock, told):
        await clock.asleep()
        path.write_text('username = "name"\npassword =')
        await clock.advance(2)
        failed = await told.next()
        assert isinstance(failed, ReloadFailed)
        assert "is no TOML" in failed.reason
        path.write_text('{"username": "name", "password": "other"}')
        await clock.advance(2)
        await clock.advance(1)
        assert await told.next() == Reloaded(pair("name", "other"))


async def test_a_new_version_in_vault_is_noticed(clock: OwnedClock, told: Told) -> None:
    async with vault_server() as vault:
        vault.secrets["secret/app"] = {"username": "name", "password": "word"}
        config = VaultSource(vault.origin, "secret", "app", None, None, VaultToken(Secret(ROOT)))
        async with watching(open_source(config, clock=clock), pair("name", "word"), clock, told) as watch:
            await clock.asleep()
            vault.secrets["secret/app"] = {"username": "name", "password": "other"}
            watch.look()
            assert await told.next() == Reloaded(pair("name", "other"))


async def test_two_files_replaced_one_after_the_other_are_told_as_one(
    mounted: FilesSource, tmp_path: Path, clock: OwnedClock, told: Told
) -> None:
    async with watching(open_source(mounted), pair("name", "word"), clock, told):
        await clock.asleep()
        (tmp_path / "username").write_text("name-2")
        await clock.advance(5)
        await clock.asleep()
        (tmp_path / "password").write_text("word-2")
        await clock.advance(1)
        assert await clock.asleep() == 1.0
        await clock.advance(1)
        assert await told.next() == Reloaded(pair("name-2", "word-2"))
        assert told.nothing


async def test_a_change_taken_back_at_once_is_none(
    mounted: FilesSource, tmp_path: Path, clock: OwnedClock, told: Told
) -> None:
    async with watching(open_source(mounted), pair("name", "word"), clock, told):
        await clock.asleep()
        (tmp_path / "password").write_text("w")
        await clock.advance(5)
        await clock.asleep()
        (tmp_path / "password").write_text("word")
        await clock.advance(1)
        assert await clock.asleep() == 5.0
        assert told.nothing


async def test_an_emptied_file_keeps_what_is_held_until_it_is_written_again(
    mounted: FilesSource, tmp_path: Path, clock: OwnedClock, told: Told
) -> None:
    async with watching(open_source(mounted), pair("name", "word"), clock, told):
        await clock.asleep()
        (tmp_path / "password").write_text("")
        await clock.advance(5)
        failed = await told.next()
        assert isinstance(failed, ReloadFailed)
        assert failed.reason.endswith("the file is empty: write the secret into it")
        assert failed.failures == 1
        (tmp_path / "password").write_text("word")
        await clock.advance(5)
        assert await told.next() == Recovered()


async def test_a_failure_that_lasts_is_told_ever_more_rarely_and_another_one_at_once(
    clock: OwnedClock, told: Told
) -> None:
    source = Scripted(*["sealed"] * 9, "unreachable", interval=10.0)
    async with watching(source, pair("name", "word"), clock, told):
        for _ in range(10):
            await clock.advance(10)
        await clock.asleep()
    assert [await told.next() for _ in range(5)] == [
        ReloadFailed("sealed", 1),
        ReloadFailed("sealed", 2),
        ReloadFailed("sealed", 4),
        ReloadFailed("sealed", 8),
        ReloadFailed("unreachable", 10),
    ]
    assert told.nothing


async def test_a_source_that_changes_all_at_once_is_believed_at_once(clock: OwnedClock, told: Told) -> None:
    async with watching(Scripted(pair("name", "other"), interval=10.0), pair("name", "word"), clock, told):
        await clock.advance(10)
        assert await told.next() == Reloaded(pair("name", "other"))


async def test_a_call_for_a_look_does_not_wait_for_the_interval(clock: OwnedClock, told: Told) -> None:
    async with watching(Scripted(pair("name", "other")), pair("name", "word"), clock, told) as watch:
        await clock.asleep()
        watch.look()
        assert await told.next() == Reloaded(pair("name", "other"))


async def test_settings_are_read_again_only_when_told_to(clock: OwnedClock, told: Told) -> None:
    source = open_source(EnvironmentSource(Secret("name"), Secret("word")))
    async with watching(source, pair("name", "other"), clock, told) as watch:
        watch.look()
        assert await told.next() == Reloaded(pair("name", "word"))
    assert clock.waits == []


async def test_time_spent_in_suspend_counts(clock: OwnedClock, told: Told) -> None:
    async with watching(Scripted(pair("name", "other")), pair("name", "word"), clock, told):
        assert await clock.asleep() == 15.0  # the longest nap, of an interval of 300 s
        await clock.advance(3600)
        assert await told.next() == Reloaded(pair("name", "other"))


async def test_the_first_credentials_are_asked_for_until_they_come(clock: OwnedClock, told: Told) -> None:
    async with watching(Scripted("sealed", pair("name", "word")), None, clock, told):
        assert await told.next() == ReloadFailed("sealed", 1)
        await clock.advance(1)
        assert await told.next() == Reloaded(pair("name", "word"))


@pytest.mark.parametrize(
    ("interval", "pauses"),
    [
        (300.0, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
        (5.0, [1, 2, 4, 5, 5, 5, 5, 5, 5, 5, 5]),
        (None, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]),
    ],
)
async def test_without_any_credentials_the_pauses_double_up_to_the_interval(
    clock: OwnedClock, told: Told, interval: float | None, pauses: list[float]
) -> None:
    source = Scripted("sealed", interval=interval)
    looks: list[float] = []
    async with watching(source, None, clock, told):
        while len(looks) <= len(pauses):
            await clock.asleep()
            if source.loads > len(looks):
                looks.append(clock.now())
            await clock.advance(1)
    assert [after - before for before, after in itertools.pairwise(looks)] == pauses


def test_no_event_shows_a_secret() -> None:
    assert "canary" not in repr(Reloaded(pair("canary-1", "canary-2")))


async def test_an_exception_that_no_one_foresaw_ends_no_watch_and_is_told_by_type_and_place(
    clock: OwnedClock, told: Told
) -> None:
    held = pair("name", "word")
    source = Scripted(held, RuntimeError("s3cret"), UnicodeError("s3cret"), pair("name", "other"))
    async with watching(source, held, clock, told):
        for kind in ("RuntimeError", "UnicodeError"):
            while told.nothing:
                await clock.advance(300)
                await clock.asleep()
            failed = await told.next()
            assert isinstance(failed, ReloadFailed)
            assert f"{kind} in tests.integration.test_credentials_watch:" in failed.reason
            assert "s3cret" not in failed.reason
        await clock.advance(300)
        assert await told.next() == Reloaded(pair("name", "other"))
