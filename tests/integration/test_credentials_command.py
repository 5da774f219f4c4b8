"""Credentials from a command: real processes, bounded, scrubbed, and none left behind."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from proxy.config import CommandSource
from proxy.credentials.command import Command, shown_errors
from proxy.credentials.model import Credentials
from proxy.credentials.sources import CredentialSourceError, open_source
from proxy.secret import Secret
from tests.support.processes import gone

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    Run = Callable[[Coroutine[Any, Any, None]], None]

CANARY = "canary-7f3a"
PAIR = '{"username": "name", "password": "word"}'
on_both_loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


def shell(script: str, *arguments: str, **options: Any) -> Command:
    return Command(CommandSource(("/bin/sh", "-c", script, "sh", *arguments)), **options)


async def refusal(command: Command) -> str:
    with pytest.raises(CredentialSourceError) as caught:
        await command.load()
    assert CANARY not in str(caught.value)
    return str(caught.value).removeprefix("the credentials command /bin/sh failed: ")


@on_both_loops
def test_a_command_says_json_on_stdout(run: Run) -> None:
    async def scenario() -> None:
        source = open_source(CommandSource(("printf", "%s", PAIR)))
        assert await source.load() == Credentials(Secret("name"), Secret("word"))
        assert (source.interval, source.confirm_after, source.warnings()) == (300.0, 0.0, ())
        assert source.describe() == "command printf"

    run(scenario())


async def test_no_shell_is_run() -> None:
    source = Command(CommandSource(("printf", "%s", '{"username": "$HOME", "password": "`id`; id"}')))
    assert await source.load() == Credentials(Secret("$HOME"), Secret("`id`; id"))


async def test_a_command_sees_the_environment_without_our_own_settings() -> None:
    environ = {"PATH": "/usr/bin:/bin", "VAULT_TOKEN": "t", "LOCALPAYMENT_PASSWORD": CANARY, "PROXY_LISTEN": CANARY}
    script = "import json, os; print(json.dumps({'username': ' '.join(sorted(os.environ)), 'password': 'word'}))"
    source = Command(CommandSource((sys.executable, "-c", script)), environ=environ)
    seen = (await source.load()).username.reveal().split()
    assert {"PATH", "VAULT_TOKEN"} <= set(seen)
    assert not [name for name in seen if name.startswith(("LOCALPAYMENT_", "PROXY_"))]


async def test_a_command_reads_nothing_from_our_stdin() -> None:
    assert (await shell(f"cat; echo '{PAIR}'").load()).username.reveal() == "name"


@on_both_loops
def test_a_failure_is_told_with_its_code_and_the_end_of_stderr_redacted(run: Run) -> None:
    async def scenario() -> None:
        script = f"echo '{PAIR}'; echo first >&2; echo 'denied: password={CANARY}' >&2; exit 3"
        assert await refusal(shell(script)) == "it ended with exit code 3; stderr: denied: password=[redacted]"
        assert await refusal(shell("kill -9 $$")) == "it ended with signal 9; stderr: empty"

    run(scenario())


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (f"echo {CANARY}", "what it wrote to stdout is no TOML: write"),
        ("true", "what it wrote to stdout has no username"),
        (f'echo \'{{"username": "{CANARY}"}}\'', "what it wrote to stdout has no password"),
        ("printf '\\377'", "what it wrote to stdout is not plain UTF-8"),
    ],
)
async def test_an_output_without_both_is_told_and_not_quoted(script: str, told: str) -> None:
    assert (await refusal(shell(script))).startswith(told)


async def test_an_endless_output_is_cut_off() -> None:
    assert await refusal(shell("yes")) == "it wrote more than 64 KiB to stdout, and was killed"


async def test_an_endless_stderr_is_no_harm() -> None:
    script = f"head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2; echo '{PAIR}'"
    assert (await shell(script).load()).password.reveal() == "word"


async def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(CredentialSourceError, match=r"it cannot be run \(No such file or directory\): check path"):
        await Command(CommandSource(("/absent/command",))).load()


@on_both_loops
def test_a_command_that_hangs_is_killed_with_all_that_it_started(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        command = shell(f"sleep 600 & echo $! $$ > {tmp_path}/pids; wait", limit=1.0)
        assert await refusal(command) == "it did not end within 1 s, and was killed"
        child, leader = (int(text) for text in (tmp_path / "pids").read_text().split())
        assert await gone(child)
        assert await gone(leader)

    run(scenario())


@on_both_loops
def test_what_a_command_leaves_running_is_killed_although_it_succeeded(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        script = f"sleep 600 >/dev/null 2>&1 & echo $! > {tmp_path}/pid; echo '{PAIR}'"
        assert (await shell(script).load()).username.reveal() == "name"
        assert await gone(int((tmp_path / "pid").read_text()))

    run(scenario())


@on_both_loops
def test_a_process_of_another_group_that_holds_the_pipe_cannot_hold_us(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        os.mkfifo(tmp_path / "pid")
        script = f"setsid sh -c 'echo $$ > {tmp_path}/pid; exec sleep 600' & read -r pid < {tmp_path}/pid"
        assert await refusal(shell(f"{script}; echo $pid > {tmp_path}/escaped; echo '{PAIR}'", limit=1.0)) == (
            "it did not end within 1 s, and was killed"
        )
        os.kill(int((tmp_path / "escaped").read_text()), 9)

    run(scenario())


@on_both_loops
def test_a_load_that_is_cancelled_kills_its_command(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        os.mkfifo(tmp_path / "started")
        load = asyncio.create_task(shell(f"echo $$ > {tmp_path}/started; exec sleep 600").load())
        process = int(await asyncio.to_thread((tmp_path / "started").read_text))
        load.cancel()
        with pytest.raises(asyncio.CancelledError):
            await load
        assert await gone(process)

    run(scenario())


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ('{"username": "name", "password": "hunter"}', "hunter was refused"),
        ('{"username": "name", "password": "pass phrase"}', "old pass phrase expired"),
        ('{"username": "name", "password": "abc"}', "abc is too short"),
        ("hunter\n", "cannot use hunter here"),
        ("password=hunter", "hunter is wrong"),
        ("", "tried hunter2 in vain"),
        ("not json: correcthorse", "correcthorse did not work"),
    ],
)
async def test_what_a_command_that_fails_wrote_to_stdout_is_not_shown_from_its_stderr(out: str, said: str) -> None:
    told = await refusal(shell('printf %s "$1"; echo "$2" >&2; exit 1', out, said))
    assert "[redacted]" in told
    assert not any(word in told for word in ("hunter", "phrase", "abc", "correcthorse"))


async def test_a_password_of_an_earlier_run_is_not_shown_either(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text('{"username": "name", "password": "formerly"}')
    command = shell("cat $1 && exit 0; echo formerly was wrong >&2; exit 1", str(state))
    await command.load()
    state.unlink()
    assert (await refusal(command)).endswith("[redacted] was wrong")


@pytest.mark.parametrize(
    "out",
    [
        PAIR.encode("utf-16"),
        PAIR.encode("utf-16-le"),
        b"\xef\xbb\xbf" + PAIR.encode(),
        PAIR.encode().replace(b"word", b"w\xf6rd"),
        PAIR.encode().replace(b"word", b"w\\ud800rd"),
        PAIR.encode().replace(b"word", b"w\\u0000rd"),
        b'{"username":' * 5_000,
        b'{"username": ' + b"9" * 5000 + b"}",
        b'{"username": "name", "password": ["word"]}',
        b"[[[[[[",
        b"null",
        b"",
    ],
    ids=lambda out: repr(out[:24]),
)
async def test_whatever_it_writes_is_refused_in_one_line_that_says_what_to_do(tmp_path: Path, out: bytes) -> None:
    (tmp_path / "out").write_bytes(out)
    told = await refusal(shell("cat $1", str(tmp_path / "out")))
    assert told.startswith("what it wrote to stdout ")
    assert ": " in told
    assert told.isprintable()
    assert "w\N{REPLACEMENT CHARACTER}rd" not in told


@pytest.mark.parametrize("end", ["\\n", "\\r\\n"])
async def test_the_newline_at_a_values_end_is_not_part_of_it(end: str) -> None:
    loaded = await shell(f"""printf '%s' '{{"username": "name{end}", "password": " two words {end}"}}'""").load()
    assert loaded == Credentials(Secret("name"), Secret(" two words "))


@pytest.mark.parametrize(
    ("errors", "shown"),
    [
        (b"", ""),
        (b"one\ntwo\n", "two"),
        (b"Code: 403. Errors: * permission denied", "Code: 403. Errors: * permission denied"),
        (f"using token {CANARY}".encode(), "using token [redacted]"),
        (f"PGPASSWORD={CANARY} psql failed".encode(), "PGPASSWORD=[redacted] psql failed"),
        (json.dumps({"user": CANARY, "password": CANARY}).encode(), '{"user": [redacted] "password": [redacted]'),
        (b"bad key AKIAIOSFODNN7EXAMPLE0 given", "bad key [redacted] given"),
        (b"got eyJhbGciOiJIUzI1NiIsInR5cCI6.eyJqdGkiOiI", "got [redacted]"),
        (b"tab\there\x1b[31m \xff", "tab here [31m \N{REPLACEMENT CHARACTER}"),
        (b"word " * 100, ("word " * 100)[:200]),
    ],
)
def test_no_word_of_stderr_that_could_be_a_secret_is_shown(errors: bytes, shown: str) -> None:
    assert shown_errors(errors) == shown
    assert CANARY not in shown_errors(errors)
