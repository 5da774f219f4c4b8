"""A call that did not have to wait leaves nothing behind by which it could be told from one that had to."""

from __future__ import annotations

import pytest

from tests.support.express_cases import AT_ONCE, BEHIND, HANDED_OVER, JUDGED
from tests.support.rides import Case, carry

CASES = {**AT_ONCE, **HANDED_OVER, **JUDGED, **BEHIND}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_both_ways_leave_the_same_behind(case: Case) -> None:
    waited, express = await carry(case, express=False), await carry(case, express=True)
    assert (waited.rides, express.rides) == ((0, 0), (case.express, case.handed_over))
    assert express.at_origin == waited.at_origin
    assert express.at_caller == waited.at_caller
    assert express.lines == waited.lines
    assert express.metrics == waited.metrics
    assert sum(data.count(b"HTTP/1.1\r\n") for data in express.at_origin) >= case.express
