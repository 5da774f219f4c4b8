"""Declares a setting: how it is named, written, read, shown, explained, and what holds when it is not set.

Each is declared once, as a field of `Settings` or of a source of credentials; its check, its row in the reference and
how it is shown are derived from that. A reader never quotes what it refuses: it may be a secret.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from proxy.config import files, parsing, units
from proxy.config.parsing import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_DECLARED: Final = "settings"  # key of a field's metadata
_INTEGER: Final = re.compile(r"[+-]?\d{1,9}(?:_\d{3}){0,3}", re.ASCII)
_MOST: Final = 100_000  # of what is counted; more is a typing error
_YES, _NO = frozenset(("true", "1", "yes", "y", "on", "t")), frozenset(("false", "0", "no", "n", "off", "f"))


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """What the values of a setting are.

    Attributes:
        form: what they look like, in words.
        read: makes one of a text, of any value in the TOML file, or of a Secret if the setting is one. It raises
            ValueError, whose text says how to write it.
        text: writes one as an operator would, without what is secret in it.
    """

    form: str
    read: Callable[[object], T]
    text: Callable[[Any], str] = str


class Setting(NamedTuple):
    """One setting.

    Attributes:
        variable: its name in the environment; in lower case, its key in the TOML file.
        kind: what its values are.
        default: what holds when it is not set, as an operator would write it; empty when nothing does.
        meaning: what it decides.
        section: the heading that it is the first one below; empty below the heading of the one before.
        note: said of the default where none can be written, such as `required`.
        otherwise: the value when it is not set and nothing else says what holds; None without one.
        secret: whether its value is sealed before it is read, and never shown.
        reloads: whether a reload takes a new value.
        formerly: an old name, which is accepted with a warning.
        needed: what to write when it is missing: always, or once its source of credentials is chosen.
    """

    variable: str
    kind: Kind[Any]
    default: str
    meaning: str
    section: str = ""
    note: str = ""
    otherwise: Any = None
    secret: bool = False
    reloads: bool = False
    formerly: str = ""
    needed: str = ""


def setting(variable: str, kind: Kind[T], default: str, meaning: str, **facts: Any) -> T:  # noqa: ANN401 - Setting's own
    """Declare a field that always has a value: its default, or what a rule makes sure of."""
    field: T = declared(Setting(variable, kind, default, meaning, **facts))
    return field


def optional(variable: str, kind: Kind[T], meaning: str, **facts: Any) -> T | None:  # noqa: ANN401 - the same
    """Declare a field that is None when it is not set."""
    field: T | None = declared(Setting(variable, kind, "", meaning, **facts))
    return field


def declared(*settings: Setting) -> Any:  # noqa: ANN401 - as dataclasses.field, it stands for any type
    """Declare a field that the first of these that is set gives; without any, one that is made of fields of its own."""
    return dataclasses.field(metadata={_DECLARED: settings})


def settings_of(field: dataclasses.Field[Any]) -> tuple[Setting, ...]:
    """Return what a field was declared with."""
    found: tuple[Setting, ...] = field.metadata.get(_DECLARED, ())
    return found


def settings_in(*declaring: type[Any]) -> tuple[Setting, ...]:
    """Return the settings that classes declare."""
    return tuple(each for one in declaring for field in dataclasses.fields(one) for each in settings_of(field))


def choice(*words: T) -> Kind[T]:
    """Return the kind of some words, in any case; the last two are joined by `or`."""
    meant = {str(word): word for word in words}

    def read(value: object) -> T:
        word = str(value).strip().lower()
        if word not in meant:
            refuse(f"write {_either(list(meant))}")
        return meant[word]

    return Kind(_either([f"`{word}`" for word in meant]), read)


def _either(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _count(value: object) -> int:
    text = str(value).strip()
    if _INTEGER.fullmatch(text) is None:
        refuse("write a whole number, such as 512")
    if not 1 <= int(text) <= _MOST:
        refuse("must be at least 1" if int(text) < 1 else f"must be at most {_MOST}")
    return int(text)


def _flag(value: object) -> bool:
    word = str(value).strip().lower()
    if word not in _YES | _NO:
        refuse("write true or false")
    return word in _YES


FLAG: Final = Kind("`true` or `false`", _flag, lambda value: str(value).lower())
COUNT: Final = Kind("number", _count)
DURATION: Final = Kind("duration", units.positive_duration, units.duration_text)
AGE: Final = Kind("duration, or days such as `30d`", units.age, units.age_text)
DURATION_OR_ZERO: Final = Kind("duration, or `0s`", units.duration, units.duration_text)
SIZE: Final = Kind("size", units.positive_size, units.size_text)
SIZE_OR_ZERO: Final = Kind("size, or `0B`", units.size, units.size_text)
ORIGIN: Final = Kind("origin", parsing.origin)
TEXT_FILE: Final = Kind("path", files.checked(files.read_file))
SECRET_FILE: Final = Kind("path", files.checked(files.read_secret))
HEADERS_FILE: Final = Kind("path", files.checked(files.read_headers))
CERTIFICATES_FILE: Final = Kind("path", files.checked(files.read_certificates))
