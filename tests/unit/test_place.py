"""A failure is told by its place."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from proxy.process.error_location import hide_exception_texts, place, trail, where

if TYPE_CHECKING:
    from collections.abc import Iterator

CANARY = "canary-11f0"


def deep(more: int) -> None:
    if not more:
        raise ValueError(CANARY)
    deep(more - 1)


def failure(depth: int) -> ValueError:
    try:
        deep(depth)
    except ValueError as error:
        return error
    raise AssertionError


@pytest.fixture
def hooks() -> Iterator[None]:
    kept = sys.excepthook, threading.excepthook, sys.unraisablehook
    hide_exception_texts()
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = kept


def test_the_innermost_frame_is_the_place() -> None:
    line = deep.__code__.co_firstlineno
    assert where(failure(3)) == f"{__name__}:{line + 2}"
    assert trail(failure(1).__traceback__).split(" < ")[:2] == [f"{__name__}:{line + 2}", f"{__name__}:{line + 3}"]


def test_what_never_ran_has_no_place() -> None:
    assert where(ValueError()) is None
    assert (place(None), trail(None)) == (None, "")


def test_a_long_way_down_is_told_in_part() -> None:
    assert trail(failure(100).__traceback__).count(" < ") == 7


@pytest.mark.usefixtures("hooks")
def test_what_nobody_caught_is_said_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    error = failure(1)
    sys.excepthook(ValueError, error, error.__traceback__)
    thread = threading.Thread(target=deep, args=(0,))
    threading.excepthook(threading.ExceptHookArgs((ValueError, error, error.__traceback__, thread)))
    said = capsys.readouterr().err
    assert said.count(f"localpayment-proxy failed: ValueError in {__name__}:") == 2
    assert CANARY not in said


@pytest.mark.usefixtures("hooks")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_finaliser_that_fails_is_said_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    class Failing:
        def __del__(self) -> None:
            deep(0)

    Failing()
    said = capsys.readouterr().err
    assert f"ValueError in {__name__}:" in said
    assert CANARY not in said


@pytest.mark.usefixtures("hooks")
def test_an_interrupt_by_hand_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("hooks")
def test_without_a_stderr_nothing_is_said_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    sys.excepthook(ValueError, ValueError(CANARY), None)
    assert sys.stderr is None
