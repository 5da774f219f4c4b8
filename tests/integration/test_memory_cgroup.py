"""The limit of a real memory cgroup is what the sidecar takes its budget from."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from proxy.process.memory import memory_limit
from tests.support.cgroups import V1, V2, memory_cgroup, needs_memory_cgroup, version_here
from tests.support.processes import BOUND

LIMIT: Final = 200 * 1024 * 1024
TOLD: Final = f"from {memory_limit.__module__} import memory_limit; print(memory_limit())"


@needs_memory_cgroup
@pytest.mark.parametrize(
    "version",
    [
        pytest.param(
            names, marks=pytest.mark.skipif(version_here() != names, reason=f"CGROUPS OF {name} ARE NOT TESTED HERE")
        )
        for names, name in ((V1, "VERSION 1"), (V2, "VERSION 2"))
    ],
    ids=["1", "2"],
)
def test_the_limit_of_a_real_cgroup_is_read(version: tuple[str, str, str]) -> None:
    with memory_cgroup(LIMIT) as group:
        assert group.names == version
        told = subprocess.run(
            (*group.enter, sys.executable, "-c", TOLD), check=True, capture_output=True, timeout=BOUND
        ).stdout
    assert int(told) == LIMIT
