"""A call that goes express leaves nothing behind by which it could be told from one that did not."""

from __future__ import annotations

import pytest

from tests.support.express_cases import BEHIND, HANDED_OVER, NOT_EXPRESS, ORDINARY
from tests.support.rides import Case, carry

CASES = {**ORDINARY, **HANDED_OVER, **NOT_EXPRESS, **BEHIND}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_both_ways_leave_the_same_behind(case: Case) -> None:
    handled, express = await carry(case, express=False), await carry(case, express=True)
    assert (handled.rides, express.rides) == ((0, 0), (case.express, case.handed_over))
    assert express.at_origin == handled.at_origin
    assert express.at_caller == handled.at_caller
    assert express.lines == handled.lines
    assert express.metrics == handled.metrics
    assert sum(data.count(b"HTTP/1.1\r\n") for data in express.at_origin) >= case.express
