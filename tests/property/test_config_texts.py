"""Whatever is written into a setting: it is read, or refused in words of ours; nothing else happens."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config import SettingsError, load_settings, parsing, units
from proxy.config.declared_settings import CONFIG_FILE, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

# Texts close to what is meant, so that they reach the rules behind the first one.
PIECES = st.sampled_from(
    ["https://", "http://", "unix:", "/", ":", "@", "[", "]", "::1", "127.0.0.1", "localhost", "api.example", "8080",
     "443", "%", "%41", "%FF", "?", "#", ".", ",", " ", "\\", "\n", "user", "5s", "MiB", "\u0665", "\udcff", "\x00"],
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=8).map("".join))


def refusal(read: Callable[[Any], object], written: object) -> ValueError | SettingsError | None:
    try:
        read(written)
    except (ValueError, SettingsError) as error:
        return error
    return None


@example(text="unix:/\udcff")
@pytest.mark.parametrize("read", [parsing.origin, parsing.egress_proxy, parsing.listen, parsing.hosts])
@given(text=TEXTS)
def test_an_address_is_read_or_refused_in_one_line_that_does_not_quote_it(
    read: Callable[[object], object], text: str
) -> None:
    secret = f"canary{text}"
    for written in (text, secret, f"http://u:{secret}@proxy:1", f"https://{secret}@host"):
        error = refusal(read, written)
        assert type(error) in {ValueError, type(None)}  # a UnicodeError would hold the text
        assert "\n" not in str(error)
        assert "canary" not in str(error)


@given(text=TEXTS)
def test_an_origin_that_is_read_reads_the_same_when_written(text: str) -> None:
    with contextlib.suppress(ValueError):
        origin = parsing.origin(text)
        assert parsing.origin(str(origin)) == origin


@given(text=TEXTS)
def test_a_listener_that_is_read_reads_the_same_when_written(text: str) -> None:
    with contextlib.suppress(ValueError):
        address = parsing.listen(text)
        assert parsing.listen(str(address)) == address


@given(milliseconds=st.integers(0, 86_400_000))
def test_a_duration_that_is_written_reads_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert units.duration(units.duration_text(seconds)) == pytest.approx(seconds)


@given(count=st.integers(0, 1 << 39))
def test_a_size_that_is_written_reads_the_same(count: int) -> None:
    assert units.size(units.size_text(count)) == count


@given(environ=st.dictionaries(st.sampled_from([*SETTINGS.keys() - {CONFIG_FILE}, "PROXY_OTHER"]), TEXTS))
def test_any_environment_gives_settings_or_a_list_of_lines(environ: dict[str, str]) -> None:
    error = refusal(load_settings, environ)
    if error is not None:
        assert isinstance(error, SettingsError)
        assert error.problems
        assert all(str(problem).isprintable() for problem in error.problems)
