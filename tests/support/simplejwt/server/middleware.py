"""Counts what the server sees of each request, and dates the answer by the server's own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils.http import http_date

from tests.support.simplejwt.server.clock import clock
from tests.support.simplejwt.server.ledger import ledger

if TYPE_CHECKING:
    from collections.abc import Callable


def observed(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def answer(request: Any) -> Any:
        ledger.begun(request.path_info)
        response = get_response(request)
        ledger.answered(request.path_info, response.status_code)
        # The WSGI server leaves a Date field alone that the application has set.
        response["Date"] = http_date(clock.now())
        return response

    return answer
