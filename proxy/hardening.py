"""Gives up what the process does not need: core dumps, new privileges, files, secrets in its environment.

Best effort: on an older kernel, or in a container that forbids it, the sidecar starts all the same and says what was
not given up. Nothing here may claim more than the kernel has confirmed.
"""

from __future__ import annotations

import ctypes
import os
import ssl
import sys
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.config import AwsSource, CommandSource, LedgerDatabase, LedgerFile, UnixAddress
from proxy.config.declared_settings import SECRETS
from proxy.process import landlock
from proxy.process.landlock import READ, Access, Rule
from proxy.process.replaced_files import made_anew_in, replaced_in

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from proxy.config import Settings

# linux/prctl.h
_SET_DUMPABLE: Final = 4
_SET_NO_NEW_PRIVS: Final = 38
# Where what Python, OpenSSL and the C library open later stands: modules, host names, certificates, time zones, and the
# process's own figures. /etc as a whole, since who writes resolv.conf puts a new file in its place.
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/etc", "/proc", "/sys/devices/system/cpu", "/run/systemd/resolve")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_APPEND: Final = Access.WRITE_FILE | Access.MAKE_REG | READ
# SQLite makes, removes and truncates files beside its own; one that is damaged is set aside beside it.
_LEDGER: Final = Access.WRITE_FILE | Access.MAKE_REG | Access.REMOVE_FILE | Access.TRUNCATE | READ
_LISTEN: Final = Access.MAKE_SOCK | Access.REMOVE_FILE | READ
_ROOT: Final = Path("/")
_THREADS: Final = Path("/proc/self/task")


class Files(StrEnum):
    """What was done about rights to files: the values of a metric's label."""

    CONFINED = "confined"
    OFF = "off"
    HELPERS = "helpers"
    UNAVAILABLE = "unavailable"


class Hardening(NamedTuple):
    """What was given up; str() says it in words.

    Attributes:
        files: rights to files that are not needed.
        dumps: whether core dumps and being looked into by processes of the same user were given up.
        privileges: whether new privileges were, such as those of a program that is set-user-ID.
    """

    files: Files = Files.OFF
    dumps: bool = False
    privileges: bool = False

    def __str__(self) -> str:
        return ", ".join(
            (
                _FILES_IN_WORDS[self.files],
                "no core dumps" if self.dumps else "core dumps as the system has them",
                "no new privileges" if self.privileges else "new privileges as the system gives them",
            )
        )


_FILES_IN_WORDS: Final = {
    Files.CONFINED: "files confined by Landlock",
    Files.OFF: "files not confined",
    Files.HELPERS: "files not confined, since the source of the credentials runs or reads what only it knows",
    Files.UNAVAILABLE: "files not confined, since kernel or container let no Landlock be used",
}


def harden(settings: Settings, more: tuple[Path, ...] = ()) -> Hardening:
    """Give up what is not needed, unless the settings forbid it; call it before any thread starts.

    Args:
        settings: say what is needed.
        more: files that may be read besides, such as the settings file.
    """
    if settings.hardening == "off" or not sys.platform.startswith("linux"):
        return Hardening()
    dumps = _prctl(_SET_DUMPABLE, 0)
    if isinstance(settings.credentials, CommandSource | AwsSource):
        return Hardening(Files.HELPERS, dumps)
    privileges = _prctl(_SET_NO_NEW_PRIVS, 1)
    files = Files.UNAVAILABLE
    try:
        if privileges and len(list(_THREADS.iterdir())) == 1:
            landlock.confine(rules(settings, more))
            files = Files.CONFINED
    except OSError:
        pass  # and so it is told
    return Hardening(files, dumps, privileges)


def rules(settings: Settings, more: tuple[Path, ...] = ()) -> list[Rule]:
    """Return what the process may still do with files; it may start no program."""
    paths = ssl.get_default_verify_paths()
    certificates = (paths.cafile, paths.capath, paths.openssl_cafile, paths.openssl_capath)
    places = [*_SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path, *filter(None, certificates)]
    found = [Rule(Path(place), READ) for place in places if place and Path(place) != _ROOT]
    found += [Rule(Path(device), Access.READ_FILE | Access.WRITE_FILE) for device in _DEVICES]
    found += [rule for path in (*_named(settings), *more) for rule in _around(path, READ, anew=True)]
    found += _around(Path("/etc/resolv.conf"), READ, anew=False)
    if isinstance(settings.audit_log, Path):
        found += _around(settings.audit_log, _APPEND, anew=True)
    if isinstance(settings.ledger, LedgerFile):
        found.append(Rule(settings.ledger.path.parent, _LEDGER))
    if isinstance(settings.ledger, LedgerDatabase):
        found += [rule for path in settings.ledger.files for rule in _around(path, READ, anew=True)]
    for listen in (settings.listen, settings.admin_listen):
        if isinstance(listen, UnixAddress):
            found += _around(listen.path, _LISTEN, anew=False)
    return found


def _around(path: Path, access: Access, *, anew: bool) -> list[Rule]:
    """Allow a file and its replacement; `anew` if its folder may be removed and made again."""
    folders = replaced_in(path)
    if anew:
        folders |= made_anew_in(path)
    return [Rule(place, access) for place in (path, *sorted(folders))]


def _named(value: object) -> Iterator[Path]:
    """Give every file that a value names and that is read again while the process runs."""
    if isinstance(value, Path):
        yield value
    elif is_dataclass(value) and not isinstance(value, UnixAddress):
        for field in fields(value):
            if field.name not in ("audit_log", "ledger"):
                yield from _named(getattr(value, field.name))


def forget(environ: MutableMapping[str, str]) -> None:
    """Remove what is secret from the environment, and overwrite it where the kernel shows it (/proc/self/environ).

    Args:
        environ: os.environ, or for tests another one.
    """
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    for variable in SECRETS & environ.keys():
        address = libc.getenv(variable.encode()) if environ is os.environ else None
        if address is not None:
            ctypes.memset(address, 0, len(os.fsencode(environ[variable])))
        del environ[variable]


def _prctl(option: int, value: int) -> bool:
    arguments = (ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    return bool(ctypes.CDLL(None).prctl(option, *arguments) == 0)
