"""Reads the head of an ordinary answer that came whole, without llhttp.

Pure. It must never accept what llhttp would refuse, or read it otherwise; whatever is unusual is left to llhttp.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from proxy.http1.framing import FRAMING_FIELDS, Head, field_value, framing_by, is_token
from proxy.http1.header_cache import MOST, is_harmless, keep

Field = tuple[bytes, bytes]

# RFC 9112 section 4; interim answers, and versions that end the connection, are unusual.
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([2-9][0-9]{2}) ([\t\x20-\x7e\x80-\xff]{0,64})").fullmatch
# Heads that begin otherwise are not remembered: an origin may put into its words whatever it was sent.
_USUAL: Final = frozenset(b"HTTP/1.1 %d %b" % (status, status.phrase.encode("ascii")) for status in HTTPStatus)
_UNUSUAL: Final = frozenset((b"transfer-encoding", b"upgrade", b"trailer"))


class AnswerHeads:
    """Reads heads of answers, and remembers those that come again.

    Args:
        most_fields: that a head may have.
    """

    def __init__(self, most_fields: int) -> None:
        self._most_fields = most_fields
        self._framing = lru_cache(maxsize=MOST)(framing_by)  # an API's answers have few lengths
        self.known_lines: dict[bytes, tuple[Field, bool]] = {}
        self.known_heads: dict[tuple[bytes, bytes], Head] = {}

    def plain_head(self, method: bytes, head: bytes) -> Head | None:
        """Return what a head says, or None when it is not plain.

        Args:
            method: of the request.
            head: without the empty line at its end.

        Raises:
            MalformedAnswerError: it cannot be told where the answer ends.
        """
        return self.known_heads.get((method, head)) or self._read(method, head)

    def _read(self, method: bytes, head: bytes) -> Head | None:
        lines = head.split(b"\r\n")
        begun = _STATUS_LINE(lines[0])
        if begun is None or len(lines) - 1 > self._most_fields:
            return None
        fields: list[Field] = []
        judged: list[Field] = []
        comes_again = lines[0] in _USUAL
        for line in lines[1:]:
            found = self.known_lines.get(line)
            if found is None:
                comes_again = False
                found = self._read_line(line)
                if found is None:
                    return None
            field, frames = found
            fields.append(field)
            if frames:
                judged.append(field)
        status = int(begun[1])
        read = Head(status, begun[2], fields, self._framing(method, status, "1.1", tuple(judged)), comes_again)
        return keep(self.known_heads, (method, head), read, most=MOST) if comes_again else read

    def _read_line(self, line: bytes) -> tuple[Field, bool] | None:
        """Return a line's field, and whether it may tell where the answer ends."""
        name, colon, value = line.partition(b":")
        folded = name.lower()
        if not colon or not is_token(name) or not field_value(value) or folded in _UNUSUAL:
            return None
        meaning = (name, value.strip(b" \t")), folded in FRAMING_FIELDS
        return keep(self.known_lines, line, meaning, most=MOST) if is_harmless(folded, line) else meaning
