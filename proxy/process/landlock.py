"""Confines the process to some files with Landlock, for good.

It must never be called once a second thread runs: the kernel takes rights from the calling thread and those it starts
later, from no other.
"""

from __future__ import annotations

import ctypes
import os
import stat
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# The same on every architecture that has them (landlock(7)).
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH: Final = 1  # LANDLOCK_RULE_PATH_BENEATH


class Access(IntFlag):
    """Rights to files; linux/landlock.h."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ: Final = Access.READ_FILE | Access.READ_DIR
# What a rule on something that is no folder may hold.
_OF_FILES: Final = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
# The rights that each version of the interface was the first to know; from the sixth on it also knows scopes.
_FIRST_KNOWN: Final = ((1, 13), (2, 14), (3, 15), (5, 16))
_SCOPES_FROM: Final = 6
_SCOPES: Final = 0b11  # abstract Unix sockets and signals


class _Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr; older kernels know only its beginning."""

    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


_HINT: Final = ", or restart: the hardening (PROXY_HARDENING) allows only folders that were there at the start"
_confined: Final[list[int]] = []


@dataclass(frozen=True, slots=True)
class Rule:
    """What may be done with a file, or with all that is below a folder."""

    path: Path
    access: Access


def version() -> int:
    """Return the version of the interface that the kernel has, 0 when it has none or does not let us ask."""
    try:
        return _call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def hint(error: BaseException) -> str:
    """Say what else may be the reason of an error, if it can be that this process has given up rights to files."""
    return _HINT if _confined and isinstance(error, PermissionError) else ""


def confine(rules: Iterable[Rule]) -> None:
    """Give up all rights to files but these; open files stay open. Needs PR_SET_NO_NEW_PRIVS.

    A rule whose path is not there is left out. Signals to processes outside are given up too, where the kernel can.

    Raises:
        OSError: the kernel has no Landlock, or refused; nothing was given up.
    """
    known = version()
    rights = Access((1 << max((bits for first, bits in _FIRST_KNOWN if first <= known), default=0)) - 1)
    attributes = _Ruleset(rights, 0, _SCOPES if known >= _SCOPES_FROM else 0)
    size = ctypes.sizeof(_Ruleset) if known >= _SCOPES_FROM else ctypes.sizeof(ctypes.c_uint64)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    try:
        for rule in rules:
            _allow(ruleset, rule, rights)
        _call(_RESTRICT_SELF, ruleset, 0)
        _confined.append(known)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, rule: Rule, rights: Access) -> None:
    try:
        parent = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        kept = rights if stat.S_ISDIR(os.fstat(parent).st_mode) else rights & _OF_FILES
        attributes = _PathBeneath(rule.access & kept, parent)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(attributes), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
