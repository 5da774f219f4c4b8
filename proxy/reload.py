"""Reloads what can change while the sidecar runs: log level, policy, certificates and credentials.

A broken new value must never replace the one in use, nor keep the other values from being taken.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from proxy.config import EnvironmentSource, Settings, SettingsError
from proxy.config.setting import settings_of
from proxy.ops.admin.listener import Part
from proxy.policy.file import PolicyFileError, read_policy
from proxy.policy.rules import DEFAULT
from proxy.upstream.tls import tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from proxy.ops.logs.log import Logger
    from proxy.policy.rules import Policy

RELOADABLE: Final = frozenset(
    field.name for field in fields(Settings) if any(one.reloads for one in settings_of(field))
)
# By whether the settings themselves hold them. Another source is read by a loop of its own, which tells by the log.
_CREDENTIALS: Final = {
    True: "not read, since the settings hold them: restart to change them",
    False: "being read; `credentials.changed` or `credentials.reload_failed` in the log says what came of it",
}
VARIABLES: Final = {field.name: [one.variable for one in settings_of(field)] for field in fields(Settings)}


@dataclass(frozen=True, slots=True)
class Uses:
    """Where reloaded values go.

    Attributes:
        level: takes the log level.
        policy: takes the policy.
        trust: takes the context by which Localpayment is verified; None when it is not spoken to over TLS.
        credentials: has the source of the credentials looked at, soon.
        certificates: reads anew what callers are shown and asked for, or raises ValueError; None without TLS to them.
    """

    level: Callable[[str], None]
    policy: Callable[[Policy], None]
    trust: Callable[[ssl.SSLContext], None] | None
    credentials: Callable[[], None]
    certificates: Callable[[], Awaitable[None]] | None = None


class Reload:
    """Reloads what can change while the sidecar runs.

    Args:
        settings: those that the process started with, some of which stay in force until it ends.
        reread: reads the settings anew, or raises SettingsError; may block.
        uses: where they go.
        logger: is told of each reload.
    """

    def __init__(self, settings: Settings, reread: Callable[[], Settings], uses: Uses, logger: Logger) -> None:
        self._started_with = self._settings = settings
        self._reread = reread
        self._uses = uses
        self._logger = logger
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self) -> tuple[Part, ...]:
        """Reload everything once; return the result of each part."""
        async with self._one_at_a_time:
            settings, parts = await self._fresh_settings()
            self._uses.level(settings.log_level)
            parts += [await self._policy(settings), await self._trust(settings), *await self._certificates()]
            self._uses.credentials()
            parts.append(Part("credentials", done=_CREDENTIALS[isinstance(settings.credentials, EnvironmentSource)]))
        kept = [str(part) for part in parts if part.kept]
        if kept:
            self._logger.error("reload.incomplete", kept=kept)
        else:
            self._logger.info("reload.done")
        return tuple(parts)

    async def _fresh_settings(self) -> tuple[Settings, list[Part]]:
        try:
            fresh = await asyncio.to_thread(self._reread)
        except SettingsError as error:
            return self._settings, [Part("settings", f"the old ones stay: {problem}") for problem in error.problems]
        old, self._settings = self._started_with, fresh
        compared = [field.name for field in fields(fresh) if field.compare]
        changed = (name for name in compared if getattr(old, name) != getattr(fresh, name))
        fixed = sorted(variable for name in set(changed) - RELOADABLE for variable in VARIABLES[name])
        return fresh, [Part("settings", f"restart to change {', '.join(fixed)}" if fixed else "")]

    async def _policy(self, settings: Settings) -> Part:
        if settings.policy_file is None:
            self._uses.policy(DEFAULT)
            return Part("policy", done="PROXY_POLICY_FILE is not set")
        try:
            read = await asyncio.to_thread(read_policy, settings.policy_file)
        except PolicyFileError as error:
            return Part("policy", "the old one stays: " + "; ".join(str(finding) for finding in error.findings))
        self._uses.policy(read.policy)
        return Part("policy")

    async def _trust(self, settings: Settings) -> Part:
        if self._uses.trust is not None:
            try:
                self._uses.trust(await asyncio.to_thread(tls_context, settings.upstream_ca_file))
            except ValueError as error:
                return Part("CA file", f"the old one stays: {error}")
            return Part("CA file")
        return Part("CA file", done="not used, since LOCALPAYMENT_BASE_URL is http")

    async def _certificates(self) -> list[Part]:
        if self._uses.certificates is None:
            return []
        try:
            await self._uses.certificates()
        except ValueError as error:
            return [Part("certificates for callers", f"the old ones stay: {error}")]
        return [Part("certificates for callers")]
