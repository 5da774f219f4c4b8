"""Lists the settings that are declared, and shows what was written and what is in effect.

What is secret is never shown: it reads `[redacted]`.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from proxy.config.credential_sources import SOURCES
from proxy.config.setting import Kind, Setting, settings_in, settings_of
from proxy.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIXES: Final = ("LOCALPAYMENT_", "PROXY_")
CONFIG_FILE: Final = "PROXY_CONFIG_FILE"

# What Kubernetes puts into every container of a namespace that has a Service named `proxy` or `localpayment-…`
# (kubernetes.io/docs/concepts/services-networking/service, environment variables): not ours, and no mistake.
_SERVICE_LINK: Final = re.compile(
    r".+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_URL: Final = re.compile(r"(tcp|udp|sctp)://")
# A URL that breaks off after what is a user and a password, or a host and no port.
_CUT_USERINFO: Final = re.compile(
    r"([a-z][a-z0-9+.-]*://[^/:\[\]]*):(?!\d{1,5}(?:[/?#]|$)).", re.IGNORECASE | re.DOTALL
)
_OPEN_FILES: Final = ("_CA_FILE", "_CERT_FILE", "_POLICY_FILE")  # hold nothing that is secret
_SHOWN: Final = 80  # characters of a value in a message


def _declared() -> Iterator[Setting]:
    for field in fields(Settings):
        yield from settings_of(field)
        if field.name == "credentials":
            for source, parts in SOURCES.items():
                yield from settings_in(source, *parts)
    meaning = "A TOML file with these settings. Set in the environment only."
    yield Setting(CONFIG_FILE, Kind("path", str), "", meaning, section="The settings file")


SETTINGS: Final = {setting.variable: setting for setting in _declared()}
FORMERLY: Final = {setting.formerly: setting.variable for setting in SETTINGS.values() if setting.formerly}
# What is sealed when it is read, and removed from the environment.
SECRETS: Final = frozenset(
    name for each in SETTINGS.values() if each.secret for name in (each.variable, each.formerly) if name
)


def is_service_link(variable: str, value: str) -> bool:
    """Whether Kubernetes made a variable for a Service of the same namespace."""
    if _SERVICE_LINK.fullmatch(variable) is not None:
        return True
    return variable.endswith("_PORT") and _SERVICE_URL.match(value) is not None


def near_miss(name: str) -> str | None:
    """Return the variable that a wrong name most likely means, or None."""
    variable = name.upper()
    ending = variable
    for prefix in PREFIXES:
        ending = ending.removeprefix(prefix)
    for candidate in (variable, *(prefix + ending for prefix in PREFIXES)):
        if candidate in SETTINGS:
            return candidate
    import difflib  # noqa: PLC0415 - which only a mistake needs, and probes are many

    return next(iter(difflib.get_close_matches(variable, SETTINGS, n=1, cutoff=0.8)), None)


def effective(settings: Settings) -> dict[str, str]:
    """Return variable → text as an operator would write it, in the order of the documentation.

    What is not set and has no default is left out. Nor is PROXY_CONFIG_FILE in it: what it says is.
    """
    return dict(_shown(settings))


def changed(settings: Settings) -> dict[str, str]:
    """Return those of `effective` that differ from their defaults."""
    return {variable: text for variable, text in effective(settings).items() if text != _default(SETTINGS[variable])}


def _default(setting: Setting) -> str:
    return setting.kind.text(setting.kind.read(setting.default)) if setting.default else ""


def _shown(declaring: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - an instance of any class that declares settings
    for field in fields(declaring):
        value, settings = getattr(declaring, field.name), settings_of(field)
        if settings and value is not None:
            setting = settings[-1] if isinstance(value, Path) else settings[0]
            yield setting.variable, setting.kind.text(value)
        elif not settings and is_dataclass(value):
            yield from _shown(value)


def may_be_content(variable: str, value: object) -> bool:
    """Whether what should name a secret may be the secret itself, which one writes there by mistake."""
    text = str(value)
    if variable.endswith("_FILE") and not variable.endswith(_OPEN_FILES):
        return not text.startswith(("/", "./", "../", "~/"))
    return text.lstrip().startswith("{")


def fit(value: str) -> str:
    """Return a value for one line of a message: without a URL's userinfo and query, printable, and short."""
    head, at, rest = value.rpartition("@")
    if at:
        value = f"{head.partition('://')[0]}://[redacted]@{rest}" if "://" in head else f"[redacted]@{rest}"
    elif cut := _CUT_USERINFO.match(value):
        value = f"{cut[1]}:[redacted]"
    value = re.sub(r"[?#].*", "?[redacted]", value, flags=re.DOTALL) if "://" in value else value
    value = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in value)
    return value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
