"""The answers of sites that do not leave errors to REST framework: none of them is what Simple JWT's own looks like."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from rest_framework.response import Response
from rest_framework.views import exception_handler

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = 20_000  # characters; more than a reader of a short answer looks at


def bare(error: Exception, context: Any) -> Any:
    """No challenge and no code: status and a sentence."""
    return _other(error, context, lambda _: {"detail": "Not authorised."})


def envelope(error: Exception, context: Any) -> Any:
    """The code is nested in an object."""
    return _other(error, context, lambda data: {"status": {"code": "401"}, "error": data})


def listed(error: Exception, context: Any) -> Any:
    """The code is nested in a list."""
    return _other(error, context, lambda data: [data])


def long(error: Exception, context: Any) -> Any:
    """The code stands behind a long text."""
    return _other(error, context, lambda data: {"help": "x" * LONG, **data})


def compressed(error: Exception, context: Any) -> Any:
    """The body is gzipped, whatever was asked for."""
    stock = exception_handler(error, context)
    if stock is None:
        return None
    body = gzip.compress(json.dumps(stock.data).encode())
    return HttpResponse(body, status=stock.status_code, headers={"Content-Encoding": "gzip"})


def _other(error: Exception, context: Any, shape: Callable[[Any], object]) -> Any:
    stock = exception_handler(error, context)
    return None if stock is None else Response(shape(stock.data), status=stock.status_code)
