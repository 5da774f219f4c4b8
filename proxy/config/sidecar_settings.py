"""Which settings say how the sidecar itself behaves?"""

from __future__ import annotations

from proxy.config.setting import Section, Setting

CONFIG_FILE = "PROXY_CONFIG_FILE"

LISTENING = Section(
    "Listening",
    (
        Setting(
            "PROXY_LISTEN",
            "`host:port` or `unix:/path`",
            "127.0.0.1:8080",
            "Where callers connect. A Unix socket has mode 0660. Port 0 lets the kernel choose. "
            "`[::]` is every address, of IPv4 too; `0.0.0.0` those of IPv4.",
        ),
        Setting(
            "PROXY_ADMIN_LISTEN",
            "`host:port` or `unix:/path`",
            "127.0.0.1:8081",
            "Where health, metrics and status are served.",
        ),
        Setting(
            "PROXY_ADMIN_KEY_FILE",
            "path",
            None,
            "A file that holds a key of at least 16 characters, which orders to the admin listener (`POST /-/…`) must "
            "then carry as `Authorization: Bearer KEY`.",
            note="whoever reaches it may give orders",
        ),
        Setting(
            "PROXY_ALLOW_REMOTE",
            "`true` or `false`",
            "false",
            "Lets other machines reach the listeners. Without it an address beyond loopback is refused.",
        ),
        Setting(
            "PROXY_ALLOWED_HOSTS",
            "host names, separated by commas",
            None,
            "Hosts that callers may name in the Host field, whatever the port; an IPv6 address in brackets. "
            "Stops DNS rebinding.",
            note="the loopback names and the listen address; on a Unix socket every host, which no page reaches",
        ),
        Setting(
            "PROXY_POLICY_FILE",
            "path",
            None,
            "The policy: which caller may do which operation.",
            note="every operation but the token endpoints",
        ),
        Setting("PROXY_MAX_IN_FLIGHT", "number", "512", "Calls relayed at once. Above it 503, at once."),
    ),
)

SIZES = Section(
    "Sizes",
    (
        Setting("PROXY_MAX_REQUEST_BODY", "size", "32MiB", "A larger request body is refused with 413."),
        Setting(
            "PROXY_REPLAY_BUFFER",
            "size, or `0B`",
            "1MiB",
            "A request body up to this size is held, so that the call can be sent again after a 401.",
        ),
    ),
)

TIMES = Section(
    "Times",
    (
        Setting("PROXY_CONNECT_TIMEOUT", "duration", "5s", "For name, TCP, egress proxy and TLS together."),
        Setting("PROXY_RESPONSE_TIMEOUT", "duration", "60s", "From the request's last byte to the answer's first."),
        Setting("PROXY_IDLE_TIMEOUT", "duration", "60s", "Between two bytes of a body."),
        Setting("PROXY_TOKEN_WAIT", "duration", "2.5s", "How long a call waits for a token before it gets 503."),
        Setting("PROXY_TOKEN_TIMEOUT", "duration", "5s", "For one call of a token endpoint."),
        Setting("PROXY_HEADER_TIMEOUT", "duration", "10s", "For a caller to send the head of its request."),
        Setting(
            "PROXY_EFFECTS_IDLE",
            "duration, or `0s`",
            "2s",
            "A call that moves money or changes state never rides a connection that was idle for longer; "
            "`0s` gives each a new one.",
        ),
    ),
)

ANSWERS = Section(
    "Answers",
    (
        Setting(
            "PROXY_CHECK_FROM_BODY",
            "`true` or `false`",
            "false",
            "Lets the answer to a call of unknown outcome name the read that settles it when the `externalId` stands "
            "in the call's body: only in JSON of at most 64 KiB, only at its top level.",
        ),
        Setting(
            "PROXY_SERVER_TIMING",
            "`true` or `false`",
            "false",
            "Adds a `Server-Timing` field to Localpayment's answers: the milliseconds that the sidecar and "
            "Localpayment took until the answer began.",
        ),
    ),
)

STOPPING = Section(
    "Stopping",
    (
        Setting(
            "PROXY_DRAIN_DELAY",
            "duration, or `0s`",
            "0s",
            "From becoming unready to refusing new calls: the time that a load balancer needs to notice.",
        ),
        Setting("PROXY_DRAIN_TIMEOUT", "duration, or `0s`", "25s", "How long calls in flight get to finish."),
    ),
)

WAY = Section(
    "The way to Localpayment",
    (
        Setting(
            "PROXY_UPSTREAM_CA_FILE",
            "path",
            None,
            "PEM file of the CA certificates that are trusted instead of the system's.",
            note="the system's CA certificates",
        ),
        Setting(
            "PROXY_EGRESS_PROXY",
            "`http://host:port`",
            None,
            "HTTP proxy through which Localpayment is reached (CONNECT); `http://user:password@host:port` for "
            "basic authentication, both percent-encoded and never shown.",
            secret=True,
            note="none",
        ),
    ),
)

PROCESS = Section(
    "The process",
    (
        Setting(
            "PROXY_EVENT_LOOP",
            "`uvloop` or `asyncio`",
            "uvloop",
            "The event loop that carries everything. `asyncio` is Python's own: a native library less in the process, "
            "for about a tenth more CPU a call.",
        ),
    ),
)

LOGS = Section(
    "Logs",
    (
        Setting("PROXY_LOG_LEVEL", "`debug`, `info`, `warning` or `error`", "info", "The least severe level written."),
        Setting(
            "PROXY_LOG_FORMAT",
            "`json` or `console`",
            None,
            "One JSON object a line, or text for people.",
            note="`console` on a terminal, else `json`",
        ),
        Setting(
            "PROXY_AUDIT_LOG",
            "path, or `stdout`",
            None,
            "Where every call with effects is noted: who, operation, outcome, status. A file is appended to, and may "
            "be rotated by renaming it.",
            note="nowhere",
        ),
        Setting(
            "PROXY_AUDIT_KEY_FILE",
            "path",
            None,
            "A file that holds a key of at least 16 characters. With it an audit line has the HMAC-SHA-256 of the "
            "call's external id, so that a payment's calls can be found without the id being revealed.",
            note="no external ids, not even hashed",
        ),
    ),
)

TRACES = Section(
    "Traces",
    (
        Setting(
            "PROXY_OTEL_ENDPOINT",
            "URL",
            None,
            "Where spans of calls go, by OTLP over HTTP, such as `http://127.0.0.1:4318`; `/v1/traces` is added. Needs "
            "the extra `otel`: [how to](how-to/tracing.md).",
            note="nowhere; a caller's `traceparent` crosses unchanged",
        ),
        Setting(
            "PROXY_OTEL_HEADERS_FILE",
            "path",
            None,
            "A file of header fields that the collector wants to see, such as `Authorization: Bearer …`; one a line.",
            note="none",
        ),
    ),
)

FILE = Section(
    "The settings file",
    (
        Setting(
            CONFIG_FILE,
            "path",
            None,
            "A TOML file with these settings, their names in lower case; the environment wins. "
            "Set in the environment only.",
            note="none",
        ),
    ),
)
