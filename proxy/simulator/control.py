"""Serves the control port: commands that let the simulator misbehave, JSON in and out.

Answers hold no token and no password, and no external id but in `/executions`.
"""

from __future__ import annotations

import inspect
import json
import shlex
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy.secret import Secret
from proxy.simulator.catalogue import NAMES
from proxy.simulator.control_fields import Reader, fields_in, flag, lifetime, number, one_of, optional, text, whole
from proxy.simulator.faults import BOTH_ENDPOINTS, EFFECTS, TOKEN_OPERATIONS, Fault
from proxy.simulator.faults import Kind as FaultKind
from proxy.simulator.tokens import Settings, User

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


COMMANDS: list[Command] = []


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the control interface.

    Attributes:
        run: given the service, and the fields read by name, returns what is answered; its docstring says what it does.
        fields: what the body, or the query of a GET, may hold, and how it is read.
        example: a body for the curl example.
        required: which of the fields must be there.
    """

    method: str
    path: str
    run: Callable[..., object]
    fields: Mapping[str, Reader]
    example: Mapping[str, object]
    required: tuple[str, ...]

    def curl(self, origin: str) -> str:
        """The command as it is typed."""
        method = "" if self.method == "GET" else f" -X {self.method}"
        body = f" -d {shlex.quote(json.dumps(self.example))}" if self.example else ""
        return f"curl -s{method} {origin}{self.path}{body}"


def command(
    line: str, example: Mapping[str, object] | None = None, required: tuple[str, ...] = (), **fields: Reader
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Make a command of a function: a line such as `POST /clock`, and how its fields are read."""

    def declare(run: Callable[..., object]) -> Callable[..., object]:
        method, path = line.split()
        COMMANDS.append(Command(method, path, run, fields, example or {}, required))
        return run

    return declare


@command(
    "POST /faults",
    {"operation": "create_payin", "kind": "drop_after_read", "times": 1},
    ("kind",),
    operation=one_of(OPERATIONS),
    kind=one_of(FaultKind),
    times=optional(whole),
    seconds=number,
    status=whole,
    retry_after=optional(number),
    body=text,
)
def _add_fault(service: Service, *, kind: str, **fields: Any) -> object:  # noqa: ANN401 - each was read by its reader
    """Let the next `times` calls of an operation fail (null: every call).

    `*` is all but the token endpoints, `token_endpoints` is both of these.
    """
    return service.add_fault(Fault(FaultKind(kind), **fields)).as_json()


@command("GET /faults")
def _faults(service: Service) -> object:
    """List the faults in force."""
    return {"faults": [rule.as_json() for rule in service.faults.rules]}


@command("DELETE /faults")
def _clear_faults(service: Service) -> object:
    """End all faults and release the calls that hang."""
    return {"cleared": service.clear_faults()}


@command("POST /tokens/revoke", {"kind": "all"}, kind=one_of(TOKEN_KINDS))
def _revoke(service: Service, *, kind: str = "all") -> object:
    """End the tokens issued so far: access, refresh or all."""
    return {"revoked": service.revoke(*TOKEN_KINDS[kind])}


@command("POST /tokens/expire", {"kind": "access"}, kind=one_of(TOKEN_KINDS))
def _expire(service: Service, *, kind: str = "all") -> object:
    """Let the tokens issued so far expire now: access, refresh or all."""
    return {"expired": service.expire(*TOKEN_KINDS[kind])}


@command("POST /clock", {"offset": 120}, ("offset",), offset=number)
def _set_clock(service: Service, *, offset: float) -> object:
    """Set how many seconds the server's clock is ahead."""
    service.set_clock(offset)
    return {"offset": offset}


@command(
    "POST /settings",
    {"access_lifetime": 10, "rotate": True},
    access_lifetime=lifetime,
    refresh_lifetime=lifetime,
    rotate=flag,
    blacklist=flag,
)
def _change_settings(service: Service, **changes: Any) -> object:  # noqa: ANN401 - each was read by its reader
    """Change how tokens are issued from now on; lifetimes in seconds."""
    settings = service.change_settings(**changes)
    return {each.name: getattr(settings, each.name) for each in fields(Settings)}


@command("POST /credentials/password-changed", {"revoke_check": True}, password=text, revoke_check=flag)
def _password_changed(service: Service, *, password: str = "", revoke_check: bool = False) -> object:
    """Set a new password, or the same again without one; revoke_check ends older tokens as Simple JWT does."""
    service.account.change_password(Secret(password) if password else None, revoke_check=revoke_check)
    return {"password": "changed", "revoke_check": revoke_check}


@command("POST /credentials/user", {"state": "inactive"}, ("state",), state=one_of(User))
def _set_user(service: Service, *, state: str) -> object:
    """Make the user active, inactive or deleted."""
    service.account.user = User(state)
    return {"state": state}


@command("GET /log", last=whole)
def _log(service: Service, *, last: int = LOG_SHOWN) -> object:
    """Show the last calls; `?last=N` for more or fewer."""
    return {"calls": [call.as_json() for call in list(service.log)[-last:]] if last else []}


@command("GET /stats")
def _stats(service: Service) -> object:
    """Count token calls, 401s and operations."""
    return service.stats()


@command("GET /executions", external_id=text)
def _executions(service: Service, *, external_id: str | None = None) -> object:
    """Count how often each operation with effects took effect, by external id; `?external_id=ID` for one id."""
    return {"executions": service.executed_by_id(external_id)}


@command("POST /reset")
def _reset(service: Service) -> object:
    """Begin again as at the start; tokens issued stay alive."""
    service.reset()
    return {"reset": True}


def control_port(service: Service) -> web.Application:
    """The application of the control port, with the one route there is."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", partial(_answer, service))
    return application


async def _answer(service: Service, request: web.Request) -> web.Response:
    """Carry out one command."""
    if request.path == "/" and request.method == "GET":
        origin = str(request.url.origin())
        commands = [{"does": inspect.getdoc(each.run), "curl": each.curl(origin)} for each in COMMANDS]
        index = {"commands": commands, "fault_kinds": EFFECTS, "operations": sorted(OPERATIONS)}
        return _written(index, indent=2)
    command = next((each for each in COMMANDS if (each.method, each.path) == (request.method, request.path)), None)
    if command is None:
        known = sorted(f"{each.method} {each.path}" for each in COMMANDS)
        return _written({"error": "no such command; GET / explains them", "commands": known}, 404)
    body = request.query if request.method == "GET" else await request.read()
    try:
        return _written(command.run(service, **fields_in(body, command.fields, command.required)))
    except ValueError as error:
        accepted = {"fields": sorted(command.fields), "example": command.example}
        return _written({"error": str(error), "accepts": accepted}, 400)


def _written(content: object, status: int = 200, indent: int | None = None) -> web.Response:
    """JSON with a line feed at its end, for terminals."""
    return web.Response(status=status, text=json.dumps(content, indent=indent) + "\n", content_type="application/json")
