"""A call that did not have to wait leaves nothing behind by which it could be told from one that had to."""

from __future__ import annotations

import pytest

from tests.support.at_once_cases import AT_ONCE, BEHIND, HANDED_OVER, JUDGED
from tests.support.sent_at_once import Case, carry

CASES = {**AT_ONCE, **HANDED_OVER, **JUDGED, **BEHIND}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_both_ways_leave_the_same_behind(case: Case) -> None:
    waited, sent = await carry(case, at_once=False), await carry(case, at_once=True)
    assert (waited.at_once, sent.at_once) == ((0, 0), (case.at_once, case.handed_over))
    assert sent.at_origin == waited.at_origin
    assert sent.at_caller == waited.at_caller
    assert sent.lines == waited.lines
    assert sent.metrics == waited.metrics
    assert sum(data.count(b"HTTP/1.1\r\n") for data in sent.at_origin) >= case.at_once
