"""Binds an address that is listened on: a TCP port, or the file of a Unix socket.

A Unix socket's file must never be open to other users, nor be taken from a process that still listens on it.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from typing import TYPE_CHECKING, Final

from proxy.config.addresses import TcpAddress, UnixAddress

if TYPE_CHECKING:
    from pathlib import Path

    from proxy.config.addresses import Listen

ANSWERS_WITHIN: Final = 1.0  # seconds for a process that listens on a socket file to show that it is there
_NOT_FOR_OTHERS: Final = 0o117  # leaves 0660: owner and group may connect
_UNPRIVILEGED: Final = 1024  # ip(7): ports below need CAP_NET_BIND_SERVICE


class BindError(Exception):
    """An address cannot be listened on; the text says which, why and what to do."""


def bind(listen: Listen, setting: str) -> socket.socket:
    """Return a bound socket that does not listen yet.

    Args:
        listen: where.
        setting: name of the setting that says so, for the error.

    Raises:
        BindError: the address is taken or cannot be had.
    """
    try:
        match listen:
            case TcpAddress(host, port):
                return _bound_tcp(host, port)
            case UnixAddress(path):
                return _bound_unix(path)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else "no such host"
        message = f"{setting}={listen}: cannot listen there ({reason}); {_fix(listen, error.errno)}"
        raise BindError(message) from error


def _fix(listen: Listen, number: int | None) -> str:
    match listen, number:
        case UnixAddress(path), errno.EADDRINUSE if not _is_socket(path):
            fix = "a file that is no socket stands there: remove it, or choose another path"
        case _, errno.EADDRINUSE:
            fix = "another process listens there: stop it, or choose another address"
        case TcpAddress(_, port), errno.EACCES | errno.EPERM if port < _UNPRIVILEGED:
            fix = f"ports below {_UNPRIVILEGED} need CAP_NET_BIND_SERVICE: choose a higher one, or grant that"
        case UnixAddress(path), errno.EACCES | errno.EPERM:
            fix = f"this process's user may not make or use a socket in {path.parent}: give it a folder of its own"
        case UnixAddress(path), errno.ENOENT | errno.ENOTDIR:
            fix = f"there is no folder {path.parent}: make it, or choose another path"
        case UnixAddress(path), errno.EROFS:
            fix = f"{path.parent} can only be read: mount a folder there that can be written to"
        case _:
            fix = "choose an address of this machine"
    return fix


def _bound_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # To [::] IPv4 comes along, whatever net.ipv6.bindv6only says; to another address it never does.
            sock.setsockopt(
                socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not ipaddress.ip_address(address[0]).is_unspecified
            )
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def _bound_unix(path: Path) -> socket.socket:
    if _is_socket(path):
        if _answers(path):
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(_NOT_FOR_OTHERS)
    try:
        sock.bind(str(path))
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False


def _answers(path: Path) -> bool:
    """Whether a process listens on a socket file; one that died leaves the file behind."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ANSWERS_WITHIN)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except (TimeoutError, BlockingIOError):
            return True  # its queue is full
    return True


def remove_file(path: Path, file: int) -> None:
    """Remove a socket file, unless a successor has put its own there; closes the descriptor."""
    try:
        if os.path.samestat(path.lstat(), os.fstat(file)):
            path.unlink()
    except FileNotFoundError:
        return
    finally:
        os.close(file)
