"""Is this the head of an ordinary answer, which came whole? Then it is read here, and llhttp is not asked.

Pure. It must never accept what llhttp would refuse, or read it otherwise; whatever is unusual is left to llhttp.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from proxy.upstream.framing import FRAMING_FIELDS, Head, field_value, framing_by, is_token
from proxy.upstream.lines import remember

if TYPE_CHECKING:
    from collections.abc import Sequence

    Field = tuple[bytes, bytes]

# RFC 9112 section 4; interim answers, and versions that end the connection, are unusual.
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([2-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)").fullmatch
_UNUSUAL: Final = frozenset((b"transfer-encoding", b"upgrade", b"trailer"))

_known: dict[bytes, tuple[Field, bool]] = {}
_known_statuses: dict[bytes, tuple[int, bytes]] = {}
_MOST_STATUSES: Final = 64


def plain_head(method: bytes, lines: Sequence[bytes]) -> Head | None:
    """Return the head that these lines make, or None when it is not plain.

    Args:
        method: of the request.
        lines: of the head, without their ends.

    Raises:
        MalformedAnswerError: it cannot be told where the answer ends.
    """
    status = _known_statuses.get(lines[0]) or _read_status(lines[0])
    if status is None:
        return None
    fields: list[Field] = []
    judged: list[Field] = []
    known = _known.get
    for line in lines[1:]:
        found = known(line) or _read(line)
        if found is None:
            return None
        field, frames = found
        fields.append(field)
        if frames:
            judged.append(field)
    return Head(*status, fields, framing_by(method, status[0], "1.1", tuple(judged)))


def _read_status(line: bytes) -> tuple[int, bytes] | None:
    found = _STATUS_LINE(line)
    if found is None:
        return None
    status = int(found[1]), found[2]
    if len(_known_statuses) < _MOST_STATUSES:
        _known_statuses[line] = status
    return status


def _read(line: bytes) -> tuple[Field, bool] | None:
    """Return a line's field, and whether it may tell where the answer ends."""
    name, colon, value = line.partition(b":")
    folded = name.lower()
    if not colon or not is_token(name) or not field_value(value) or folded in _UNUSUAL:
        return None
    meaning = (name, value.strip(b" \t")), folded in FRAMING_FIELDS
    return remember(_known, line, meaning, name=folded, size=len(line))
