"""Runs contenders for a longer look at them: on one core, with the load on the other."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from tests.benchmarks import load
from tests.benchmarks.comparison import prepare
from tests.benchmarks.contenders import MAKERS
from tests.benchmarks.ground import READ, UPLOAD, Ground, GroundError, until_answering
from tests.benchmarks.load import LoadError
from tests.benchmarks.pinned import PROXY_CORE, Pinned
from tests.benchmarks.tools import NGINX, TASKSET, WRK, MissingToolError, require

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.benchmarks.contenders import Contender


@dataclass(frozen=True, slots=True)
class Slice:
    """What a slice of load showed.

    Attributes:
        found: what the callers met.
        cost: seconds of processor time for each call.
        waited: share of its working time that the proxy waited for its core.
        resident_kib: memory at its end.
    """

    found: load.Load
    cost: float
    waited: float
    resident_kib: int


class Running:
    """A contender that takes calls."""

    def __init__(self, contender: Contender, program: Pinned) -> None:
        self._contender = contender
        self._program = program

    def resident_kib(self) -> int:
        """KiB of memory that it has now."""
        return self._program.resident_kib()

    def slice(self, connections: int, seconds: int, *, upload: int = 0, key: str | None = None) -> Slice:
        """Load it for so many seconds, with reads or bodies of so many bytes, as the caller that a key tells."""
        load.warm(self._contender, connections)
        before = self._program.spent()
        path = UPLOAD if upload else READ
        found = load.run(self._contender, connections=connections, seconds=seconds, path=path, upload=upload, key=key)
        spent = self._program.spent().since(before)
        waited = spent.waited / (spent.ran + spent.waited)
        return Slice(found, spent.ran / found.calls, waited, self._program.resident_kib())


@contextmanager
def running(names: Sequence[str], policy: str | None = None) -> Iterator[dict[str, Running]]:
    """Run contenders inside the block, all with the same policy; raises click's error when something does not work."""
    cores = os.sched_getaffinity(0)
    try:
        require((WRK, NGINX, TASKSET))
        prepare()
        with ExitStack() as exits:
            ground = exits.enter_context(Ground())
            contenders = [_with_policy(MAKERS[name][0](ground), ground, policy) for name in names]
            yield {contender.name: _started(contender, ground, exits) for contender in contenders}
    except (MissingToolError, GroundError, LoadError, OSError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        os.sched_setaffinity(0, cores)


def _started(contender: Contender, ground: Ground, exits: ExitStack) -> Running:
    said = ground.folder / contender.name
    program = Pinned(contender.command, core=PROXY_CORE, said=said, environment=contender.environment)
    until_answering(contender.port, exits.enter_context(program))
    return Running(contender, program)


def _with_policy(contender: Contender, ground: Ground, policy: str | None) -> Contender:
    if policy is None:
        return contender
    file = ground.folder / "policy.toml"
    file.write_text(policy)
    return replace(contender, environment={**contender.environment, "PROXY_POLICY_FILE": str(file)})
