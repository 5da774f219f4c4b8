"""Serves the control port: commands that let the simulator misbehave, JSON in and out.

Answers hold no token and no password, and no external id but in `/executions`.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy.secret import Secret
from proxy.simulator.catalogue import NAMES
from proxy.simulator.control_fields import Reader, fields_in, flag, lifetime, number, one_of, optional, text, whole
from proxy.simulator.faults import BOTH_ENDPOINTS, EFFECTS, TOKEN_OPERATIONS, Fault
from proxy.simulator.faults import Kind as FaultKind
from proxy.simulator.tokens import User

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from proxy.simulator.service import Service
    from proxy.simulator.tokens import Kind

OPERATIONS = frozenset({"*", "other", BOTH_ENDPOINTS, *TOKEN_OPERATIONS, *NAMES})
TOKEN_KINDS: dict[str, tuple[Kind, ...]] = {
    "all": ("access", "refresh"),
    "access": ("access",),
    "refresh": ("refresh",),
}
LOG_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the control interface.

    Attributes:
        run: given the service, and the fields read by name, returns what is answered.
        fields: what the body, or the query of a GET, may hold, and how it is read.
        example: a body for the curl example.
        required: which of the fields must be there.
    """

    method: str
    path: str
    does: str
    run: Callable[..., object]
    fields: Mapping[str, Reader] = field(default_factory=dict)
    example: Mapping[str, object] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    def curl(self, origin: str) -> str:
        """The command as it is typed."""
        method = "" if self.method == "GET" else f" -X {self.method}"
        body = f" -d {shlex.quote(json.dumps(self.example))}" if self.example else ""
        return f"curl -s{method} {origin}{self.path}{body}"


def _add_fault(service: Service, *, kind: str, **fields: Any) -> object:  # noqa: ANN401 - each was read by its reader
    return service.add_fault(Fault(FaultKind(kind), **fields)).as_json()


def _password_changed(service: Service, *, password: str = "", revoke_check: bool = False) -> object:
    service.change_password(Secret(password) if password else None, revoke_check=revoke_check)
    return {"password": "changed", "revoke_check": revoke_check}


def _set_user(service: Service, *, state: str) -> object:
    service.set_user(User(state))
    return {"state": state}


def _set_clock(service: Service, *, offset: float) -> object:
    service.set_clock(offset)
    return {"offset": offset}


def _log(service: Service, *, last: int = LOG_SHOWN) -> object:
    return {"calls": [call.as_json() for call in list(service.log)[-last:]] if last else []}


def _reset(service: Service) -> object:
    service.reset()
    return {"reset": True}


FAULT_FIELDS: Mapping[str, Reader] = {
    "operation": one_of(OPERATIONS),
    "kind": one_of(FaultKind),
    "times": optional(whole),
    "seconds": number,
    "status": whole,
    "retry_after": optional(number),
    "body": text,
}
SETTINGS_FIELDS: Mapping[str, Reader] = {
    "access_lifetime": lifetime,
    "refresh_lifetime": lifetime,
    "rotate": flag,
    "blacklist": flag,
}

COMMANDS = (
    Command(
        "POST",
        "/faults",
        "lets the next `times` calls of an operation fail (null: every call); `*` is all but the token endpoints, "
        "`token_endpoints` is both of these",
        _add_fault,
        FAULT_FIELDS,
        {"operation": "create_payin", "kind": "drop_after_read", "times": 1},
        ("kind",),
    ),
    Command(
        "GET",
        "/faults",
        "lists the faults in force",
        lambda service: {"faults": [rule.as_json() for rule in service.faults.rules]},
    ),
    Command(
        "DELETE",
        "/faults",
        "ends all faults and releases the calls that hang",
        lambda service: {"cleared": service.clear_faults()},
    ),
    Command(
        "POST",
        "/tokens/revoke",
        "ends the tokens issued so far: access, refresh or all",
        lambda service, kind="all": {"revoked": service.revoke(*TOKEN_KINDS[kind])},
        {"kind": one_of(TOKEN_KINDS)},
        {"kind": "all"},
    ),
    Command(
        "POST",
        "/tokens/expire",
        "lets the tokens issued so far expire now: access, refresh or all",
        lambda service, kind="all": {"expired": service.expire(*TOKEN_KINDS[kind])},
        {"kind": one_of(TOKEN_KINDS)},
        {"kind": "access"},
    ),
    Command(
        "POST",
        "/clock",
        "sets how many seconds the server's clock is ahead",
        _set_clock,
        {"offset": number},
        {"offset": 120},
        ("offset",),
    ),
    Command(
        "POST",
        "/settings",
        "changes how tokens are issued from now on; lifetimes in seconds",
        lambda service, **fields: asdict(service.change_settings(**fields)),
        SETTINGS_FIELDS,
        {"access_lifetime": 10, "rotate": True},
    ),
    Command(
        "POST",
        "/credentials/password-changed",
        "sets a new password, or the same again without one; revoke_check ends older tokens as Simple JWT does",
        _password_changed,
        {"password": text, "revoke_check": flag},
        {"revoke_check": True},
    ),
    Command(
        "POST",
        "/credentials/user",
        "makes the user active, inactive or deleted",
        _set_user,
        {"state": one_of(User)},
        {"state": "inactive"},
        ("state",),
    ),
    Command("GET", "/log", "shows the last calls; `?last=N` for more or fewer", _log, {"last": whole}),
    Command("GET", "/stats", "counts token calls, 401s and operations", lambda service: service.stats()),
    Command(
        "GET",
        "/executions",
        "counts how often each operation with effects took effect, by external id; `?external_id=ID` for one id",
        lambda service, external_id=None: {"executions": service.executed_by_id(external_id)},
        {"external_id": text},
    ),
    Command("POST", "/reset", "begins again as at the start; tokens issued stay alive", _reset),
)


class ControlPort:
    """Answers what comes to the control port."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._commands = {(command.method, command.path): command for command in COMMANDS}

    def application(self) -> web.Application:
        """An application with the one route there is."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.Response:
        """Carry out one command."""
        if request.path == "/" and request.method == "GET":
            return written(self._index(str(request.url.origin())), indent=2)
        command = self._commands.get((request.method, request.path))
        if command is None:
            known = sorted(f"{method} {path}" for method, path in self._commands)
            return written({"error": "no such command; GET / explains them", "commands": known}, 404)
        body = request.query if request.method == "GET" else await request.read()
        try:
            return written(command.run(self._service, **fields_in(body, command.fields, command.required)))
        except ValueError as error:
            accepted = {"fields": sorted(command.fields), "example": command.example}
            return written({"error": str(error), "accepts": accepted}, 400)

    def _index(self, origin: str) -> object:
        commands = [{"does": command.does, "curl": command.curl(origin)} for command in COMMANDS]
        return {"commands": commands, "fault_kinds": EFFECTS, "operations": sorted(OPERATIONS)}


def written(content: object, status: int = 200, indent: int | None = None) -> web.Response:
    """JSON with a line feed at its end, for terminals."""
    return web.Response(status=status, text=json.dumps(content, indent=indent) + "\n", content_type="application/json")
