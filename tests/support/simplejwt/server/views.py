"""The API behind its authentication: a few of Localpayment's calls, and two that only a test needs."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.decorators import api_view
from rest_framework.response import Response

from tests.support.simplejwt.server.ledger import ledger

LONGEST_HOLD = 60.0  # seconds; a forgotten release must not keep a thread for good


def _balance(_request: Any, account_number: str) -> Any:
    return Response({"accountNumber": account_number, "balances": [{"currency": "ARS", "amount": 1000.0}]})


def _create(request: Any) -> Any:
    external_id = str(request.data.get("externalId", ""))
    ledger.executed(external_id)
    capture = request.headers.get("X-Capture", "")
    return Response({"externalId": external_id, "capture": capture, "status": {"code": "100"}}, status=201)


def _transaction_status(request: Any, external_id: str) -> Any:
    if request.method == "PATCH":
        ledger.executed(external_id)
    elif not ledger.knows(external_id):
        return Response({"code": "404", "description": "transaction not found"}, status=404)
    return Response({"externalId": external_id, "status": {"code": "200"}})


def _activation(_request: Any, external_id: str, how: str) -> Any:
    ledger.executed(external_id)
    return Response({"externalId": external_id, "activation": how})


def _delete_virtual_account(_request: Any, external_id: str) -> Any:
    ledger.executed(external_id)
    return Response(status=204)


def _slow(request: Any) -> Any:
    """Answer after `?seconds=`, or when the test releases it; `?externalId=` counts as executed on arrival."""
    ledger.executed(request.query_params.get("externalId", ""))
    seconds = min(float(request.query_params.get("seconds", "1")), LONGEST_HOLD)
    return Response({"released": ledger.hold(seconds)})


def _echo(request: Any) -> Any:
    """Send the very bytes of the body back, under their own content type."""
    return HttpResponse(request.body, content_type=request.content_type or "application/octet-stream")


balance = api_view(["GET"])(_balance)
create = api_view(["POST"])(_create)
transaction_status = api_view(["GET", "PATCH"])(_transaction_status)
activation = api_view(["PUT"])(_activation)
delete_virtual_account = api_view(["DELETE"])(_delete_virtual_account)
slow = api_view(["GET", "POST"])(_slow)
echo = api_view(["POST", "PUT"])(_echo)
