"""Finds a parameter `_method` in a query or body; some frameworks obey it in place of the real method.

Pure. It looks at no content type, since a reader of the body may ignore it as well. In doubt it says yes: no operation
of Localpayment has such a parameter.
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = b"_method"
# Looked for as numbers, which bytes find at once: for bytes in bytes, CPython makes and drops an exception first.
_UNDERSCORE, _PERCENT, _BACKSLASH = b"_%\\"
# Itself, or what an encoded sign of it begins with: text in other languages is full of escapes, though none of these.
_MARKS: Final = (_NAME, b"%5f", b"%6", b"%74", rb"\u005f", rb"\u006", rb"\u0074")
# Each sign as it is, percent-encoded, or as a JSON escape.
_WORD: Final = b"".join(rb"(?:%c|%%%02x|\\u00%02x)" % (sign, sign, sign) for sign in _NAME)
# A member of JSON; a parameter of a query or form, perhaps as a list; a part of a multipart body.
_NAMED: Final = re.compile(
    rb'"%b"\s*+:|(?:\A|[&;?])[+\s]*+%b(?:[=&;\[]|\Z|%%5b|%%3d)|;\s*+name="?%b["; \r]' % (_WORD, _WORD, _WORD)
).search


def names_method(text: bytes) -> bool:
    """Whether a raw query or a whole body names it, in any case and encoding."""
    if _UNDERSCORE not in text and _PERCENT not in text and _BACKSLASH not in text:
        return False
    folded = text.lower()
    return any(mark in folded for mark in _MARKS) and _NAMED(folded) is not None
