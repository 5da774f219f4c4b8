"""Requests as bytes that no client library would send, with what must become of each."""

from __future__ import annotations

SECRET = b"hush-hush"  # stands in every request, and must stand in no log and in no answer
HOST = b"Host: localhost\r\nX-Request-Id: id-1\r\nX-Secret: " + SECRET + b"\r\n"


def get(target: bytes = b"/api/x", version: bytes = b"HTTP/1.1", *lines: bytes, host: bytes = HOST) -> bytes:
    return b"GET %b %b\r\n%b" % (target, version, host) + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


def post(*lines: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return b"POST /api/x %b\r\n%b" % (version, HOST) + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def seen(
    method: bytes = b"GET",
    target: bytes = b"/api/x",
    *lines: bytes,
    framing: bytes = b"",
    body: bytes = b"",
    via: bytes = b"1.1",
) -> bytes:
    """What Localpayment must get, with its own host and a token of three dots."""
    kept = b"".join(line + b"\r\n" for line in lines)
    head = b"%b %b HTTP/1.1\r\nHost: upstream\r\nX-Request-Id: id-1\r\nX-Secret: %b\r\n%b" % (
        method,
        target,
        SECRET,
        kept,
    )
    own = b"Via: %b localpayment-proxy\r\nAuthorization: Bearer ...\r\n" % via
    return head + own + framing + b"\r\n" + body


CHUNKS = b"2\r\nab\r\n0\r\n\r\n"
TE = b"Transfer-Encoding: "
CL = b"Content-Length: "
SETTINGS = b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", SETTINGS)  # what Java's HttpClient sends by default
WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: AAAA")

BAD = (400, "bad_request")
TARGET = (400, "bad_target")
METHOD = (405, "method_forbidden")

REFUSED: dict[str, tuple[bytes, tuple[int, str]]] = {
    # Two framings, or one that can be read in two ways.
    "both framings": (post(CL + b"5", TE + b"chunked", body=CHUNKS), BAD),
    "both framings, the other order": (post(TE + b"chunked", CL + b"5", body=CHUNKS), BAD),
    "an empty coding beside a length": (post(TE, CL + b"2", body=b"ab"), BAD),
    "an empty coding behind a length": (post(CL + b"2", TE, body=b"ab"), BAD),
    "an empty coding": (post(TE, body=CHUNKS), BAD),
    "an empty coding without a space": (post(b"Transfer-Encoding:", body=CHUNKS), BAD),
    "an empty coding of white space": (post(TE + b" \t \t", body=CHUNKS), BAD),
    "an empty coding in lower case": (post(b"transfer-encoding: ", body=CHUNKS), BAD),
    "an empty coding in HTTP/1.0": (post(TE, body=CHUNKS, version=b"HTTP/1.0"), BAD),
    "an empty coding of a GET": (get(b"/api/x", b"HTTP/1.1", TE), BAD),
    "an empty coding twice": (post(TE, TE, body=CHUNKS), BAD),
    "an empty coding, then chunked": (post(TE, TE + b"chunked", body=CHUNKS), BAD),
    "chunked, then an empty coding": (post(TE + b"chunked", TE, body=CHUNKS), BAD),
    "a list of no codings": (post(TE + b",", body=CHUNKS), BAD),
    "a list of no codings with white space": (post(TE + b" , \t,", body=CHUNKS), BAD),
    "chunked behind a comma": (post(TE + b",chunked", body=CHUNKS), BAD),
    "chunked behind two commas": (post(TE + b", ,chunked", body=CHUNKS), BAD),
    "chunked before a comma": (post(TE + b"chunked,", body=CHUNKS), BAD),
    "chunked before a comma and a space": (post(TE + b"chunked , ", body=CHUNKS), BAD),
    "a coding besides chunked": (post(TE + b"gzip, chunked", body=CHUNKS), BAD),
    "chunked not last": (post(TE + b"chunked, gzip", body=CHUNKS), BAD),
    "identity": (post(TE + b"identity"), BAD),
    "an unknown coding": (post(TE + b"xchunked", body=CHUNKS), BAD),
    "chunked twice": (post(TE + b"chunked", TE + b"chunked", body=CHUNKS), BAD),
    "chunked twice in one field": (post(TE + b"chunked, chunked", body=CHUNKS), BAD),
    "identity, then chunked": (post(TE + b"identity", TE + b"chunked", body=CHUNKS), BAD),
    "chunked behind a vertical tab": (post(TE + b"\x0bchunked", body=CHUNKS), BAD),
    "chunked in quotes": (post(TE + b'"chunked"', body=CHUNKS), BAD),
    "chunked with a parameter": (post(TE + b"chunked;q=0.5", body=CHUNKS), BAD),
    "chunked in HTTP/1.0": (post(TE + b"chunked", body=CHUNKS, version=b"HTTP/1.0"), BAD),
    "two equal lengths": (post(CL + b"2", CL + b"2", body=b"ab"), BAD),
    "two different lengths": (post(CL + b"2", CL + b"3", body=b"ab"), BAD),
    "a list of lengths": (post(CL + b"2, 2", body=b"ab"), BAD),
    "a signed length": (post(CL + b"+2", body=b"ab"), BAD),
    "a negative length": (post(CL + b"-2", body=b"ab"), BAD),
    "a length in hex": (post(CL + b"0x2", body=b"ab"), BAD),
    "a length with a space": (post(CL + b"2 2", body=b"ab"), BAD),
    "an empty length": (post(CL), BAD),
    "a length behind a comma": (post(CL + b",2", body=b"ab"), BAD),
    "a length before a comma": (post(CL + b"2,", body=b"ab"), BAD),
    "a list of no lengths": (post(CL + b",", body=b"ab"), BAD),
    "a length beyond 64 bits": (post(CL + b"99999999999999999999", body=b"ab"), BAD),
    "a length of a thousand digits": (post(CL + b"0" * 1000 + b"2", body=b"ab"), BAD),
    "a length of more digits than Python reads": (post(CL + b"0" * 5000 + b"2", body=b"ab"), BAD),
    # Chunks.
    "a chunk size in words": (post(TE + b"chunked", body=b"zz\r\nab\r\n0\r\n\r\n"), BAD),
    "a chunk longer than its size": (post(TE + b"chunked", body=b"2\r\nabc\r\n0\r\n\r\n"), BAD),
    "a chunk size with a prefix": (post(TE + b"chunked", body=b"0x2\r\nab\r\n0\r\n\r\n"), BAD),
    "a signed chunk size": (post(TE + b"chunked", body=b"-2\r\nab\r\n0\r\n\r\n"), BAD),
    "a chunk size with a space": (post(TE + b"chunked", body=b"2 \r\nab\r\n0\r\n\r\n"), BAD),
    "chunks ended by bare line feeds": (post(TE + b"chunked", body=b"2\nab\n0\n\n"), BAD),
    "a bare line feed in an extension": (post(TE + b"chunked", body=b"2;a\nb\r\nab\r\n0\r\n\r\n"), BAD),
    "a chunk size beyond 64 bits": (post(TE + b"chunked", body=b"10000000000000002\r\nab\r\n0\r\n\r\n"), BAD),
    "a length among the trailers": (post(TE + b"chunked", body=b"0\r\nContent-Length: 5\r\nHost: x\r\n\r\n"), BAD),
    # Lines and fields.
    "bare line feeds": (get().replace(b"\r\n", b"\n"), BAD),
    "one bare line feed": (b"GET /api/x HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n", BAD),
    "a bare carriage return": (b"GET /api/x HTTP/1.1\r\nHost: localhost\rX-A: b\r\n\r\n", BAD),
    "a folded field": (get(b"/api/x", b"HTTP/1.1", b"X-A: b\r\n c"), BAD),
    "a field folded by a tab": (get(b"/api/x", b"HTTP/1.1", b"X-A: b\r\n\tc"), BAD),
    "a space before the first field": (b"GET /api/x HTTP/1.1\r\n X-A: b\r\n" + HOST + b"\r\n", BAD),
    "a space before a colon": (post(b"Transfer-Encoding : chunked", body=CHUNKS), BAD),
    "a field without a name": (get(b"/api/x", b"HTTP/1.1", b": b"), BAD),
    "a field without a colon": (get(b"/api/x", b"HTTP/1.1", b"abc"), BAD),
    "a name that is no token": (get(b"/api/x", b"HTTP/1.1", b"X(A: b"), BAD),
    "NUL in a value": (get(b"/api/x", b"HTTP/1.1", b"X-A: b\0c"), BAD),
    "NUL in a name": (get(b"/api/x", b"HTTP/1.1", b"X\0A: b"), BAD),
    "NUL in the target": (get(b"/api/\0x"), BAD),
    "DEL in a value": (get(b"/api/x", b"HTTP/1.1", b"X-A: b\x7fc"), BAD),
    "a control in a value": (get(b"/api/x", b"HTTP/1.1", b"X-A: b\x01c"), BAD),
    "a tab in the request line": (get().replace(b"GET /api/x ", b"GET\t/api/x\t"), BAD),
    "a space in the target": (get(b"/api/x y"), BAD),
    "two spaces after the method": (get().replace(b"GET ", b"GET  "), BAD),
    "two spaces before the version": (get().replace(b" HTTP", b"  HTTP"), BAD),
    "a space before the method": (b" " + get(), BAD),
    "a line feed before the request": (b"\n" + get(), BAD),
    "a space after the version": (get(version=b"HTTP/1.1 "), BAD),
    "two content types": (post(b"Content-Type: a/b", b"Content-Type: c/d", CL + b"2", body=b"ab"), BAD),
    "no host": (b"GET /api/x HTTP/1.1\r\nX-Secret: " + SECRET + b"\r\n\r\n", BAD),
    "two hosts": (get(b"/api/x", b"HTTP/1.1", b"Host: localhost"), BAD),
    "a host with userinfo": (get(host=HOST.replace(b"localhost", b"me@localhost")), BAD),
    "a host with a path": (get(host=HOST.replace(b"localhost", b"localhost/x")), BAD),
    "another host": (get(host=HOST.replace(b"localhost", b"evil.example")), (403, "host_forbidden")),
    # Targets.
    "absolute-form to elsewhere": (get(b"https://evil.example/api/x"), TARGET),
    "absolute-form to another host": (get(b"http://evil.example/api/x"), (403, "host_forbidden")),
    "absolute-form with another host before ours": (get(b"http://localhost.evil.example/"), (403, "host_forbidden")),
    "absolute-form of another scheme": (get(b"https://localhost/api/x"), TARGET),
    "absolute-form of a scheme of its own": (get(b"ftp://localhost/api/x"), TARGET),
    "absolute-form with userinfo": (get(b"http://evil.example@localhost/api/x"), BAD),
    "absolute-form without a host": (get(b"http:///api/x"), BAD),
    "absolute-form with two hosts": (get(b"http://localhost/api/x", b"HTTP/1.1", b"Host: localhost"), BAD),
    "absolute-form without Host": (b"GET http://localhost/api/x HTTP/1.1\r\nX-Secret: " + SECRET + b"\r\n\r\n", BAD),
    "absolute-form with a Host that is none": (
        get(b"http://localhost/api/x", host=HOST.replace(b"localhost", b"me@localhost")), BAD
    ),
    "absolute-form of a token endpoint": (get(b"http://localhost/api/token/"), (403, "operation_forbidden")),
    "absolute-form of dot segments": (get(b"http://localhost/api/x/../token/"), TARGET),
    "absolute-form of OPTIONS of all": (get(b"http://localhost").replace(b"GET", b"OPTIONS"), TARGET),
    "an authority": (get(b"@evil.example/api/x"), BAD),
    "dot segments": (get(b"/api/x/../token/"), TARGET),
    "encoded dot segments": (get(b"/api/x/%2e%2e/token/"), TARGET),
    "a doubly encoded token endpoint": (get(b"/api/%2574oken/"), TARGET),
    "two slashes before a token endpoint": (get(b"//api/token/"), TARGET),
    "a host before a token endpoint": (get(b"//evil.example/api/token/"), TARGET),
    "a token endpoint": (get(b"/api/token/"), (403, "operation_forbidden")),
    "a fragment": (get(b"/api/x#y"), TARGET),
    "a backslash before a token endpoint": (get(b"/api\\token/"), TARGET),
    "bytes beyond ASCII": (get("/api/ñ".encode()), BAD),
    "an asterisk": (get(b"*"), BAD),
    "OPTIONS of all": (get(b"*").replace(b"GET", b"OPTIONS"), TARGET),
    # Methods, versions and protocols.
    "CONNECT": (get(b"evil.example:443").replace(b"GET", b"CONNECT"), METHOD),
    "CONNECT to a path": (get().replace(b"GET", b"CONNECT"), METHOD),
    "TRACE": (get().replace(b"GET", b"TRACE"), METHOD),
    "TRACK": (get().replace(b"GET", b"TRACK"), METHOD),
    "a method in lower case": (get().replace(b"GET", b"get"), METHOD),
    "a method in mixed case": (get().replace(b"GET", b"Get"), METHOD),
    "an invented method": (get().replace(b"GET", b"PAY"), METHOD),
    "a method that is one but for its end": (get().replace(b"GET", b"GETS"), METHOD),
    "a method of RTSP": (get().replace(b"GET", b"DESCRIBE"), METHOD),
    "a method that is no token": (get().replace(b"GET", b"G(T"), BAD),
    "HTTP/0.9": (b"GET /api/x\r\n\r\n", BAD),
    "HTTP/0.9 by name": (get(version=b"HTTP/0.9"), BAD),
    "HTTP/1.2": (get(version=b"HTTP/1.2"), BAD),
    "HTTP/2.0": (get(version=b"HTTP/2.0"), BAD),
    "http in lower case": (get(version=b"http/1.1"), BAD),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECRET, BAD),
    "a WebSocket": (get(b"/api/x", b"HTTP/1.1", *WEBSOCKET), BAD),
    "a WebSocket or HTTP/2": (get(b"/api/x", b"HTTP/1.1", b"Connection: Upgrade", b"Upgrade: h2c, websocket"), BAD),
    "an old WebSocket": (get(b"/api/x", b"HTTP/1.1", b"Sec-WebSocket-Key1: 1 2 3"), BAD),
    "RTSP": (get(version=b"RTSP/1.0").replace(b"GET", b"DESCRIBE"), BAD),
    "ICE": (get(version=b"ICE/1.0").replace(b"GET", b"SOURCE"), BAD),
    "an empty expectation": (post(b"Expect:", CL + b"2", body=b"ab"), (417, "expectation_failed")),
    "an expectation behind a comma": (
        post(b"Expect: ,100-continue", CL + b"2", body=b"ab"), (417, "expectation_failed")
    ),
    "an unknown expectation": (post(b"Expect: 200-ok", CL + b"2", body=b"ab"), (417, "expectation_failed")),
    # Too much.
    "a target too long": (get(b"/api/" + b"x" * 8192), (414, "target_too_long")),
    "a query too long": (get(b"/api/x?" + b"x" * 100_000), (414, "target_too_long")),
    "a value too long": (get(b"/api/x", b"HTTP/1.1", b"X-A: /" + b"x" * 8190), (431, "header_too_large")),
    "a name too long": (get(b"/api/x", b"HTTP/1.1", b"X" * 8191 + b": a"), (431, "header_too_large")),
    "too many fields": (get(b"/api/x", b"HTTP/1.1", *[b"X-%d: a" % n for n in range(200)]), (431, "header_too_large")),
    "a body too long": (post(CL + b"33554433"), (413, "body_too_large")),
}  # fmt: skip

LENGTH = b"Content-Length: 2\r\n"
BODY = {"framing": LENGTH, "body": b"ab"}

FORWARDED: dict[str, tuple[bytes, bytes]] = {
    "a plain GET": (get(), seen()),
    "a query": (get(b"/api/x?a=%zz&b=//../;c"), seen(b"GET", b"/api/x?a=%zz&b=//../;c")),
    "an encoded slash in a parameter": (
        get(b"/api/transactions/a%2Fb%2B%3D"), seen(b"GET", b"/api/transactions/a%2Fb%2B%3D")
    ),
    "a slash at the end": (get(b"/api/payin/"), seen(b"GET", b"/api/payin/")),
    "a host in the path": (get(b"//evil.example/api/x"), seen(b"GET", b"//evil.example/api/x")),
    "userinfo in the path": (get(b"/@evil.example/api/x"), seen(b"GET", b"/@evil.example/api/x")),
    "absolute-form": (get(b"http://localhost/api/x?a=%zz&b=//../;c"), seen(b"GET", b"/api/x?a=%zz&b=//../;c")),
    "absolute-form with a port": (get(b"http://127.0.0.1:8080/api/x"), seen()),
    "absolute-form of an IPv6 address": (get(b"http://[::1]:8080/api/x"), seen()),
    "absolute-form in capitals": (get(b"HTTP://LocalHost/api/X"), seen(b"GET", b"/api/X")),
    "absolute-form without a path": (get(b"http://localhost"), seen(b"GET", b"/")),
    "absolute-form without a path, but a query": (get(b"http://localhost?a=b"), seen(b"GET", b"/?a=b")),
    "absolute-form with another Host, which it overrides": (
        get(b"http://localhost/api/x", host=HOST.replace(b"localhost", b"evil.example")), seen()
    ),
    "line ends before the request": (b"\r\n\r\n" + get(), seen()),
    "space around a value": (get(b"/api/x", b"HTTP/1.1", b"X-A: \t b \t "), seen(b"GET", b"/api/x", b"X-A: b")),
    "an empty value": (get(b"/api/x", b"HTTP/1.1", b"X-A:"), seen(b"GET", b"/api/x", b"X-A: ")),
    "bytes beyond ASCII in a value": (
        get(b"/api/x", b"HTTP/1.1", b"X-A: \xe9\xff"), seen(b"GET", b"/api/x", b"X-A: \xe9\xff")
    ),
    "one field twice": (
        get(b"/api/x", b"HTTP/1.1", b"X-A: b", b"x-a: c"), seen(b"GET", b"/api/x", b"X-A: b", b"x-a: c")
    ),
    "a length with zeros": (post(CL + b"0002", body=b"ab"), seen(b"POST", **BODY)),
    "a length of nothing": (post(CL + b"0"), seen(b"POST", framing=b"Content-Length: 0\r\n")),
    "no length": (post(), seen(b"POST")),
    "a GET with a body": (get(b"/api/x", b"HTTP/1.1", CL + b"2") + b"ab", seen(b"GET", b"/api/x", **BODY)),
    "chunks": (post(TE + b"chunked", body=CHUNKS), seen(b"POST", **BODY)),
    "chunks in capitals": (post(TE + b"CHUNKED", body=CHUNKS), seen(b"POST", **BODY)),
    "chunks behind a tab": (post(b"Transfer-Encoding:\tchunked", body=CHUNKS), seen(b"POST", **BODY)),
    "no chunk": (post(TE + b"chunked", body=b"0\r\n\r\n"), seen(b"POST", framing=b"Content-Length: 0\r\n")),
    "chunk extensions": (post(TE + b"chunked", body=b'2;a="b"\r\nab\r\n0\r\n\r\n'), seen(b"POST", **BODY)),
    "trailers": (post(TE + b"chunked", body=b"2\r\nab\r\n0\r\nX-T: v\r\n\r\n"), seen(b"POST", **BODY)),
    "a coding that only CGI would read": (
        post(b"Transfer_Encoding: chunked", CL + b"2", body=b"ab"), seen(b"POST", **BODY)
    ),
    "a length that only CGI would read": (post(b"Content_Length: 9", CL + b"2", body=b"ab"), seen(b"POST", **BODY)),
    "a credential of its own": (
        get(b"/api/x", b"HTTP/1.1", b"Authorization: Bearer mine", b"Connection: Authorization"), seen()
    ),
    "an offer of HTTP/2": (get(b"/api/x", b"HTTP/1.1", *H2C), seen()),
    "an offer of HTTP/2 with a body": (post(*H2C, CL + b"2", body=b"ab"), seen(b"POST", **BODY)),
    "an offer of HTTP/2 with chunks": (post(*H2C, TE + b"chunked", body=CHUNKS), seen(b"POST", **BODY)),
    "lists without members": (
        get(b"/api/x", b"HTTP/1.1", b"Connection: ,", b"TE:", b"Trailer: ,", b"Upgrade:", b"Keep-Alive:"), seen()
    ),
    "HTTP/1.0": (get(version=b"HTTP/1.0"), seen(via=b"1.0")),
    "HTTP/1.0 without a host": (get(version=b"HTTP/1.0", host=HOST.partition(b"\r\n")[2]), seen(via=b"1.0")),
    "HTTP/1.0 with an expectation": (get(b"/api/x", b"HTTP/1.0", b"Expect: 100-continue"), seen(via=b"1.0")),
    "OPTIONS of a path": (get().replace(b"GET", b"OPTIONS"), seen(b"OPTIONS")),
    "a method that is no call of Localpayment's": (get().replace(b"GET", b"PROPFIND"), seen(b"PROPFIND")),
}  # fmt: skip
