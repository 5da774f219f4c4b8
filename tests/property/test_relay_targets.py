"""However servers on the way decode, cut and resolve an accepted path, it is one operation and no token endpoint."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.api.operations import OPERATIONS, match
from proxy.api.target import read_target
from proxy.errors import BadTargetError, OperationForbiddenError
from proxy.simulator import catalogue as peer

Stage = Callable[[str], str]

METHODS: Final = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
WORDS: Final = sorted({word for row in peer.CATALOGUE for word in row.path.split("/") if word and word[0] != "{"})
SEPARATORS: Final = ["/", "//", "%2F", "%252f", "%25252F", "\\", "%5C", "%255c"]
ODDITIES: Final = [
    ".", "..", "%2e", "%2E%2e", "%252e", ";", ";x=1", "%3B", "%3Fx", "%23", "..;", "%74oken", "TOKEN", "x", "%20",
    "%25", "a%2Fb", "token", "api", "refresh", "",
]  # fmt: skip


@st.composite
def crafted(draw: st.DrawFn) -> str:
    pieces = draw(st.lists(st.tuples(st.sampled_from(SEPARATORS), st.sampled_from(WORDS + ODDITIES)), max_size=8))
    return "/" + "".join(word + separator for separator, word in pieces)


@st.composite
def bent(draw: st.DrawFn) -> str:
    """A path of the catalogue, or a token endpoint, with something put into it or encoded."""
    honest = [row.path for row in peer.CATALOGUE] + ["/api/token/", "/api/token/refresh/"]
    path = re.sub(
        r"\{\w+\}",
        lambda _: draw(st.sampled_from(["x", "a%2Fb", "a%252Fb", "a%5Cb", "a\\b", "..", "status", "032.840"])),
        draw(st.sampled_from(honest)),
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(path)))
        if draw(st.booleans()):
            path = path[:at] + draw(st.sampled_from(SEPARATORS + ODDITIES)) + path[at:]
        else:
            path = path[:at] + "".join(f"%{ord(letter):02x}" for letter in path[at : at + 1]) + path[at + 1 :]
    return path


PATHS: Final = st.one_of(
    crafted(), bent(), st.sampled_from([row.path.replace("{", "").replace("}", "") for row in peer.CATALOGUE])
)


def decoded(path: str) -> str:
    return re.sub("%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), path)


def resolved(path: str) -> str:
    """Dots removed the way RFC 3986 words it: by an input and an output buffer."""
    left, done = path, ""
    while left:
        if left.startswith(("/./", "/../")):
            done = done if left.startswith("/./") else done[: done.rfind("/")] if "/" in done else ""
            left = left[2:] if left.startswith("/./") else left[3:]
        elif left in {"/.", "/.."}:
            done = done if left == "/." else done[: done.rfind("/")] if "/" in done else ""
            left = "/"
        else:
            end = left.find("/", 1)
            end = len(left) if end < 0 else end
            done, left = done + left[:end], left[end:]
    return done


def collapsed(path: str) -> str:
    while "//" in path:
        path = path.replace("//", "/")
    return path


def without_parameters(path: str) -> str:
    return "/".join(segment.split(";")[0] for segment in path.split("/"))


def with_slashes(path: str) -> str:
    return "/".join(path.split("\\"))


STAGES: Final[list[Stage]] = [decoded, resolved, collapsed, without_parameters, with_slashes]


def readings(path: str, *worked: Stage) -> Iterator[tuple[str, tuple[Stage, ...]]]:
    """Every path that servers in a row make of this one, and the stages that changed something."""
    yield path, worked
    for stage in STAGES:
        if len(worked) < 5 and (stage is not decoded or worked.count(decoded) < 2) and stage(path) != path:
            yield from readings(stage(path), *worked, stage)


def name_of(method: str, path: str) -> str:
    found = peer.match("GET" if method == "HEAD" else method, path)
    return found.operation.name if found and found.operation else "other"


def is_token_endpoint(path: str) -> bool:
    return re.match(r"/api/token(/|\Z)", path, re.IGNORECASE) is not None


@given(METHODS, PATHS)
@example("PATCH", "/api/payin/subscriptions/x%2Fstatus")
@example("POST", "/x/..;/api/token/")
def test_no_chain_of_servers_reads_an_accepted_target_otherwise(method: str, path: str) -> None:
    try:
        accepted = read_target(path.encode(), method).operation.name
    except (BadTargetError, OperationForbiddenError):
        return
    assert accepted == name_of(method, path)
    for reading, worked in readings(path):
        assert not is_token_endpoint(reading)
        name = name_of(method, reading)
        # An encoded slash is data of its parameter; who takes it for a separator finds nothing.
        slash_is_data = name == "other" and worked.count(decoded) == 1 and set(worked) <= {decoded, collapsed}
        assert name == accepted or slash_is_data


@given(METHODS, st.sampled_from(peer.CATALOGUE), st.data())
def test_an_honest_target_passes_with_its_parameters_as_they_are(
    method: str, operation: peer.Operation, data: st.DataObject
) -> None:
    plain = st.text("abcXYZ0189-_~:@!$&'()*+,=", min_size=1, max_size=12)
    token = st.text("abXY01%", min_size=1, max_size=12).map(
        lambda text: text.replace("%", data.draw(st.sampled_from(["%2B", "%3D", "%20"])))
    )
    # An id of nothing but spaces, encoded or not, is no id to a server that trims it.
    value = st.one_of(plain, plain.map(lambda text: f"9.{text}"), token).filter(
        lambda text: bool(text.replace("%2B", "+").replace("%20", "+").strip("+"))
    )
    path = re.sub(r"\{\w+\}", lambda _: data.draw(value), operation.path.replace("{switch}", "enable"))
    assert read_target(
        path.encode() + data.draw(st.sampled_from([b"", b"?a=%2F..;//"])), method
    ).operation.name == name_of(method, path)


@given(METHODS, st.text("ab/%2Fc", max_size=12))
def test_a_card_token_with_encoded_slashes_is_the_id_of_its_call(method: str, token: str) -> None:
    encoded = "t" + re.sub("[/%]", lambda found: f"%{ord(found[0]):02X}", token)
    with contextlib.suppress(BadTargetError):  # a token that holds an encoded percent sign may be ambiguous
        found = read_target(f"/api/payin/subscriptions/{encoded}".encode(), method)
        assert found.external_id in {encoded, None}


@given(METHODS, st.text("ab/c+=", max_size=12))
def test_a_card_token_encoded_once_always_passes(method: str, token: str) -> None:
    encoded = "t" + re.sub("[/+=]", lambda found: f"%{ord(found[0]):02X}", token)
    found = read_target(f"/api/payin/subscriptions/{encoded}".encode(), method)
    assert found.operation.name == name_of(method, f"/api/payin/subscriptions/{encoded}")


@given(st.binary(max_size=60), METHODS)
def test_arbitrary_bytes_are_clean_origin_form_or_refused(noise: bytes, method: str) -> None:
    for raw in (noise, b"/" + noise, b"/api/transactions/" + noise):
        try:
            read_target(raw, method)
        except (BadTargetError, OperationForbiddenError):
            continue
        assert raw.startswith(b"/")
        assert all(0x21 <= byte <= 0x7E and byte != 0x23 for byte in raw)


Respelling = Callable[[st.DrawFn, str], str]


def encoded(text: str, signs: str = "%") -> str:
    return "".join(f"{signs}{byte:02x}" for byte in text.encode())


def in_capitals(draw: st.DrawFn, path: str) -> str:
    at = draw(st.integers(0, len(path)))
    return path[:at] + path[at : at + 3].swapcase() + path[at + 3 :]


def escaped(draw: st.DrawFn, path: str) -> str:
    at = draw(st.integers(1, len(path)))
    if path[at : at + 1] == "/" and not encoded_slashes(path):
        return path
    return path[:at] + encoded(path[at : at + 1], draw(st.sampled_from(["%", "%25", "%2525"]))) + path[at + 1 :]


def wide(draw: st.DrawFn, path: str) -> str:
    """A letter or separator in its full-width form."""
    at = draw(st.integers(1, len(path)))
    letter = "".join(chr(ord(sign) + 0xFEE0) for sign in path[at : at + 1] if sign != "%")
    return path[:at] + (encoded(letter) or path[at : at + 1]) + path[at + 1 :]


def overlong(draw: st.DrawFn, path: str) -> str:
    at = draw(st.integers(1, len(path)))
    forms = "".join(f"%{0xC0 | ord(sign) >> 6:02x}%{0x80 | ord(sign) & 0x3F:02x}" for sign in path[at : at + 1])
    return path[:at] + forms + path[at + 1 :]


ENDS: Final = [
    ".", "..", "+", "%20", "%2e", "%2E%20.", "%252e", ";", ";x=1", "%3Bx", "%00", "%C2%A0", "%E3%80%80", "%EF%BC%8E",
    "%E3%80%82", "%C2%AD", "%E2%80%8B", "%CC%81",
]  # fmt: skip


def with_an_end(draw: st.DrawFn, path: str) -> str:
    """Something that many readers drop, behind a segment."""
    at = draw(st.sampled_from([found.end() for found in re.finditer(r"[^/](?=/|\Z)", path)]))
    return path[:at] + draw(st.sampled_from(ENDS)) + path[at:]


def with_a_detour(draw: st.DrawFn, path: str) -> str:
    """Something that resolves to nothing, or another separator, in the place of a slash."""
    at = draw(st.sampled_from([found.start() for found in re.finditer("/", path)]))
    detours = ["//", "/./", "/x/../", "/%2e/", "/x/%2e%2e/", "\\", "%5c", "/.;/", "/%20/", "/.%20/"]
    return path[:at] + draw(st.sampled_from(detours + encoded_slashes(path))) + path[at + 1 :]


def encoded_slashes(path: str) -> list[str]:
    """None for a path whose id holds one: who decodes either decodes both, and reads no path of the catalogue."""
    return [] if "%2F" in path else ["%2f", "%252F"]


def with_a_tail(draw: st.DrawFn, path: str) -> str:
    tails = ["/", "//", "/.", "/%2e", ".json", ".", "/;x", "/%20", "\\", "?x=1", "%3F", "%23x"]
    return path + draw(st.sampled_from(tails + encoded_slashes(path)))


LETTERS: Final[list[Respelling]] = [in_capitals, escaped, wide, overlong]
# In this order: an end behind a detour's dots would make another path of it.
RESPELLINGS: Final[list[list[Respelling]]] = [LETTERS, [with_an_end], [with_a_detour], [with_a_tail], LETTERS]
IDS: Final = ["order-1", "032.840.00000001", "Order-A.7", "dG9r%2FZW4%2B%3D", "3f2b8c1e-7c55-4f0e-9d1c-0a1b2c3d4e5f"]


@st.composite
def filled(draw: st.DrawFn, path: str) -> str:
    return re.sub(r"\{\w+\}", lambda _: draw(st.sampled_from(IDS)), path.replace("{switch}", "enable"))


@st.composite
def respelt(draw: st.DrawFn, path: str) -> str:
    stages = st.lists(st.integers(0, len(RESPELLINGS) - 1), min_size=1, unique=True)
    for stage in sorted(draw(stages)):
        path = draw(st.sampled_from(RESPELLINGS[stage]))(draw, path)
    return path


@settings(max_examples=1000)
@given(st.sampled_from(peer.CATALOGUE), st.data())
def test_no_spelling_of_an_operation_is_judged_as_another(operation: peer.Operation, data: st.DataObject) -> None:
    method = data.draw(st.sampled_from(operation.methods))
    path = data.draw(respelt(data.draw(filled(operation.path))))
    with contextlib.suppress(BadTargetError, OperationForbiddenError):
        found = read_target(path.encode(), method)
        assert found.operation.name == operation.name


@settings(max_examples=1000)
@given(METHODS, st.sampled_from(["/api/token", "/api/token/", "/api/token/refresh", "/api/token/refresh/"]), st.data())
def test_no_spelling_reaches_a_token_endpoint(method: str, path: str, data: st.DataObject) -> None:
    with pytest.raises((BadTargetError, OperationForbiddenError)):
        read_target(data.draw(respelt(path)).encode(), method)


@pytest.mark.parametrize("end", ["%2f", "%2F", "%252f", "/%2f", "%2f."])
@pytest.mark.parametrize("external_id", ["a%2Fb", "%2F", "+"])
def test_a_slash_at_the_end_is_none_of_the_id_beside_it(external_id: str, end: str) -> None:
    with pytest.raises(BadTargetError):
        read_target(f"/api./payin/{external_id}/refund{end}".encode(), "PATCH")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api%2fsubscriptions/plan/dG9r%2fZW4%2B%3D"),
        ("PATCH", "/api/payin/x%2Fy%2Frefund"),
        ("PATCH", "/api/Payin%2Fcapture/x%2Fy"),
        ("PUT", "/api/virtual-account/a%2Fb%2Factivation%2Fenable"),
        ("GET", "/api%2Fimages%2Fa%2Fb%2Fc"),
        ("POST", "/api%252Fchargeback/documentation/a%252Fb"),
        ("GET", "//api/fx/currency-exchange%20%2fdG9r%2fZW4%2B%3D/"),
        ("PATCH", "/api/payin;x%2Fa%2Fb/refund."),
        ("PATCH", "/api/x%2F..%2Fpayin/a%2Fb/refund"),
        ("PATCH", "/api/./payin/a%2F.%20%2Frefund"),
    ],
)
def test_an_encoded_slash_parts_no_path_while_another_one_is_data_of_the_id(method: str, path: str) -> None:
    with pytest.raises(BadTargetError):
        read_target(path.encode(), method)


@given(st.sampled_from(peer.CATALOGUE), st.sampled_from(["", "/"]), st.data())
def test_every_operation_passes_as_it_is_documented(operation: peer.Operation, end: str, data: st.DataObject) -> None:
    for method in operation.methods:
        path = data.draw(filled(operation.path)) + end
        assert read_target(path.encode(), method).operation.name == operation.name


PIECES: Final = st.sampled_from([*WORDS, "x", "", "{x}", "enable", "plan", "refund"])


@given(METHODS, st.lists(PIECES, max_size=7).map("/".join), st.sampled_from(["/", ""]))
def test_the_walk_finds_what_the_peer_finds_line_by_line(method: str, path: str, lead: str) -> None:
    assert match(method, lead + path).operation.name == name_of(method, lead + path)


def test_both_catalogues_hold_the_same_operations() -> None:
    ours = {
        (operation.name, method, path)
        for operation in OPERATIONS
        for method in operation.methods
        for path in operation.templates
    }
    theirs = {
        (row.name, method, path)
        for row in peer.CATALOGUE
        for method in row.methods
        for path in (
            [row.path.replace("{switch}", word) for word in ("enable", "disable")]
            if "{switch}" in row.path
            else [row.path]
        )
    }
    assert ours == theirs
