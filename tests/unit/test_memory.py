"""How much memory there is for callers, and how it is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from proxy.process.memory import (
    LEAST,
    MUCH,
    OF_A_CALL,
    Bursts,
    Holding,
    MemoryBudget,
    connections_in,
    default_budget,
    give_back,
    memory_limit,
)

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024 * 1024
V1 = "9:name=systemd:/\n4:memory:/pods/one\n0::/\n"
V2 = "0::/pods/one\n"


def limit(tmp_path: Path, own: str, **files: str) -> int | None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "groups" / name.replace("__", "/").replace("_max", ".max").replace("_stat", ".stat")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return memory_limit(tmp_path / "groups", tmp_path / "own")


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        (V2, {"pods__one__memory_max": "268435456\n"}, 256 * MIB),
        (V2, {"pods__one__memory_max": "max\n", "pods__memory_max": "1048576\n"}, MIB),
        (V2, {"pods__one__memory_max": "max\n"}, None),
        ("0::/\n", {"memory_max": "268435456\n"}, 256 * MIB),
        (V1, {"memory__pods__one__memory_stat": "cache 1\nhierarchical_memory_limit 268435456\n"}, 256 * MIB),
        (V1, {"memory__memory_stat": "hierarchical_memory_limit 268435456\n"}, 256 * MIB),
        (V1, {"memory__pods__one__memory_stat": "hierarchical_memory_limit 9223372036854771712\n"}, None),
        (V1, {}, None),
        ("", {}, None),
    ],
)
def test_the_limit_of_either_version_is_found(
    tmp_path: Path, own: str, files: dict[str, str], expected: int | None
) -> None:
    assert limit(tmp_path, own, **files) == expected


def test_without_cgroups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path / "none") is None


def test_a_budget_leaves_the_process_what_it_needs() -> None:
    assert default_budget(None, 512, 4096, tls=False) == 512 * OF_A_CALL
    assert LEAST < default_budget(256 * MIB, 128, 512, tls=True) < default_budget(256 * MIB, 128, 512, tls=False)
    assert default_budget(256 * MIB, 128, 512, tls=False) < 140 * MIB
    assert default_budget(32 * MIB, 512, 4096, tls=False) == LEAST
    assert connections_in(256 * MIB, tls=False) > connections_in(256 * MIB, tls=True) > 512


def test_bodies_leave_room_for_anything_else() -> None:
    budget = MemoryBudget(100)
    assert budget.fits_body(75)
    assert not budget.fits_body(76)
    budget.charge(Holding.BODIES, 75)
    assert budget.fits(25)
    assert not budget.fits(26)
    budget.charge(Holding.HEADS, 30)
    assert (budget.used, budget.held[Holding.HEADS]) == (105, 30), "what is here is counted"
    budget.charge(Holding.BODIES, -75)
    assert budget.fits(70)
    assert budget.most == 105


def test_memory_can_be_given_back() -> None:
    give_back()


def test_what_a_burst_took_is_given_back_when_much_of_it_is_over_and_once_more_when_nothing_is_held() -> None:
    bursts = Bursts()
    assert not bursts.over(used=2 * MUCH, most=2 * MUCH, connections=0)
    assert bursts.over(used=MUCH - 1, most=2 * MUCH, connections=0)
    assert not bursts.over(used=1, most=MUCH - 1, connections=0), "the rest is little, and some is held"
    assert bursts.over(used=0, most=1, connections=0), "nothing is held any more"
    assert not bursts.over(used=0, most=0, connections=0)


def test_little_that_comes_and_goes_gives_nothing_back() -> None:
    bursts = Bursts()
    assert not any(bursts.over(used, most=MUCH, connections=0) for used in (MUCH, 0, MUCH // 2, 0))


def test_callers_connections_count_as_a_burst() -> None:
    bursts = Bursts()
    assert not bursts.over(used=0, most=0, connections=2 * MUCH)
    assert bursts.over(used=0, most=0, connections=0)
