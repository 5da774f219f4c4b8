"""How does `serve` read its settings and keep nothing of what that takes? A child reads them, and ends.

What reads settings weighs a quarter of a sidecar and is needed once. The child is a fork: made before the first thread,
and before the process gives up starting programs, it needs neither arguments nor an environment of its own. It answers
through a pipe that nobody else holds, so that a secret stands in no file, argument, variable or log on its way.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from proxy.config import SettingsError, handover, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import NoReturn

    from proxy.config import Settings

_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_ANSWERED: Final = 0
_TOLD: Final = 1  # the child's own defect, which it has told of


class ReaderEndedError(Exception):
    """The child ended without an answer; the text says how, and is empty when the child has said why."""


class _Reader:
    """A child that reads the settings, and answers through a pipe."""

    def __init__(self, pid: int, pipe: int) -> None:
        self._pid = pid
        self._pipe = pipe
        self._code: int | None = None

    def answer(self) -> Settings:
        with open(self._pipe, "rb", closefd=False) as pipe:
            content = pipe.read()
        code = self._ended()
        try:
            outcome = handover.read(content)
        except handover.NotHandedOverError:
            raise ReaderEndedError("" if code == _TOLD else _how(code)) from None
        if isinstance(outcome, tuple):
            raise SettingsError(outcome)
        return outcome

    def close(self) -> None:
        """End the child if it still runs, and let the kernel forget it."""
        os.close(self._pipe)
        if self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._ended()

    def _ended(self) -> int:
        """Wait for its end; return its exit code, or a signal's number below zero."""
        try:
            _, status = os.waitpid(self._pid, 0)
        except ChildProcessError:  # SIGCHLD is ignored, as the one who started this process left it: nobody is told
            self._code = _ANSWERED
        else:
            self._code = os.waitstatus_to_exitcode(status)
        return self._code


@contextmanager
def reading(environ: Mapping[str, str]) -> Iterator[Callable[[], Settings]]:
    """Have a child read the settings inside the block.

    Yields:
        What waits for the settings, for one call. It raises SettingsError, which names every mistake, or
        ReaderEndedError.
    """
    pipe, answers = os.pipe()
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError:  # as many processes as there may be: rather a heavier sidecar than none
        os.close(pipe)
        os.close(answers)
        yield partial(load_settings, environ)
        return
    if not pid:
        os.close(pipe)
        _end_with(parent)
        _answer(environ, answers)
    os.close(answers)
    reader = _Reader(pid, pipe)
    try:
        yield reader.answer
    finally:
        reader.close()


def _end_with(parent: int) -> None:
    """Be killed when the parent ends, and end by a signal as any process does: nothing here is worth keeping."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_ANSWERED)


def _answer(environ: Mapping[str, str], descriptor: int) -> NoReturn:
    """Be the child: nothing of it may go on as the parent would, neither code nor what is to be done at exit."""
    code = _TOLD
    try:
        with suppress(BrokenPipeError), open(descriptor, "wb") as answers:  # without a parent nobody is left to ask
            answers.write(handover.written(_outcome(environ)))
        code = _ANSWERED
    except BaseException as error:  # noqa: BLE001 - as Python does at the end of a program
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)


def _outcome(environ: Mapping[str, str]) -> handover.Outcome:
    try:
        return load_settings(environ)
    except SettingsError as error:
        return error.problems


def _how(code: int) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return f"the settings were not read: the process that reads them {how}; start again, with more memory if it ran out"
