"""Which settings say who gets in, and what the process itself may do?"""

from __future__ import annotations

from proxy.config.setting import Section, Setting

TLS = Section(
    "TLS towards callers",
    (
        Setting(
            "PROXY_TLS_CERT_FILE",
            "path",
            None,
            "PEM file of the certificate that callers see, with its chain. PROXY_LISTEN then speaks TLS, 1.2 or newer. "
            "A reload reads it anew.",
            note="plain HTTP",
        ),
        Setting(
            "PROXY_TLS_KEY_FILE",
            "path",
            None,
            "PEM file of the certificate's private key, without a passphrase.",
        ),
        Setting(
            "PROXY_TLS_CLIENT_CA_FILE",
            "path",
            None,
            "PEM file of CA certificates. Each caller must then have a certificate of one of them, whose names the "
            "policy's `san` knows it by.",
            note="callers need no certificate",
        ),
    ),
)

SAFETY = Section(
    "Safety",
    (
        Setting(
            "PROXY_REQUIRED_HEADER",
            "`Name: value`",
            None,
            "A header field that every call must carry, such as `X-Internal: yes`; without it 412. Keeps away requests "
            "that a forged URL made some other server send (SSRF). It is taken off before the call goes on.",
            note="none",
        ),
        Setting(
            "PROXY_ALLOW_BROWSERS",
            "`true` or `false`",
            "false",
            "Takes calls that a page in a browser sends. Any page that this machine's user opens can then call "
            "Localpayment.",
        ),
        Setting(
            "PROXY_MAX_CONNECTIONS",
            "number",
            "4096",
            "Callers' connections at once. Each beyond them gets a 503 at once, and is closed.",
        ),
        Setting(
            "PROXY_REDACT_ECHOES",
            "`true` or `false`",
            "false",
            "Masks a token of the sidecar's that stands in an answer's header, or in the first 64 KiB of its body. "
            "It is counted and logged in any case.",
        ),
        Setting(
            "PROXY_SANDBOX",
            "`auto` or `off`",
            "auto",
            "`auto` takes from the process what it does not need, as far as the kernel can: files it has no use for, "
            "new privileges, core dumps. docs/explanation/hardening.md says what and when.",
        ),
    ),
)
