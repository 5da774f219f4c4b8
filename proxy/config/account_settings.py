"""Which settings say whose account it is, and where its credentials come from?"""

from __future__ import annotations

from proxy.config.setting import Section, Setting

SANDBOX_URL = "https://api.stage.localpayment.com"  # Localpayment's documentation
SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path, of Kubernetes' documentation

LOCALPAYMENT = Section(
    "Localpayment",
    (
        Setting(
            "LOCALPAYMENT_ENVIRONMENT",
            "`sandbox` or `production`",
            None,
            "Which Localpayment the credentials belong to.",
            note="required",
        ),
        Setting(
            "LOCALPAYMENT_BASE_URL",
            "origin",
            None,
            "Where calls go. `https` only, `http` to loopback alone. A production environment with the stage host, "
            "or the reverse, is refused.",
            note=f"`{SANDBOX_URL}` for the sandbox, required for production",
        ),
    ),
)

USERNAME_AND_PASSWORD = Section(
    "Credentials: username and password",
    (
        Setting("LOCALPAYMENT_USERNAME", "text", None, "The account's username. Never shown.", secret=True),
        Setting(
            "LOCALPAYMENT_USERNAME_FILE",
            "path",
            None,
            "A file that holds the username and nothing else; read again when it changes.",
        ),
        Setting("LOCALPAYMENT_PASSWORD", "text", None, "The account's password. Never shown.", secret=True),
        Setting(
            "LOCALPAYMENT_PASSWORD_FILE",
            "path",
            None,
            "A file that holds the password and nothing else; read again when it changes.",
        ),
    ),
)

ONE_DOCUMENT = Section(
    "Credentials: one file, or a command",
    (
        Setting(
            "LOCALPAYMENT_CREDENTIALS_FILE",
            "path",
            None,
            "A JSON or TOML file with the keys `username` and `password`; read again when it changes.",
        ),
        Setting(
            "LOCALPAYMENT_CREDENTIALS_COMMAND",
            "command line",
            None,
            "A command that writes a JSON object with `username` and `password` to stdout within 10 s. It is run "
            "without a shell and without the sidecar's own settings in its environment. Arguments are never shown.",
            secret=True,
        ),
    ),
)

VAULT = Section(
    "Credentials: HashiCorp Vault or OpenBao",
    (
        Setting(
            "LOCALPAYMENT_VAULT_ADDR",
            "origin",
            None,
            "The server, such as `https://vault.internal:8200`. Its certificate is always verified.",
        ),
        Setting(
            "LOCALPAYMENT_VAULT_PATH",
            "path in the engine",
            None,
            "The secret that holds the keys `username` and `password`, without the engine's own path and `data/`.",
        ),
        Setting("LOCALPAYMENT_VAULT_MOUNT", "path", "secret", "Where the KV engine, version 2, is mounted."),
        Setting("LOCALPAYMENT_VAULT_NAMESPACE", "path", None, "The namespace.", note="the root namespace"),
        Setting(
            "LOCALPAYMENT_VAULT_CA_FILE",
            "path",
            None,
            "PEM file of the CA certificates that are trusted instead of the system's.",
            note="the system's CA certificates",
        ),
        Setting("LOCALPAYMENT_VAULT_TOKEN", "text", None, "A token. Never shown.", secret=True),
        Setting(
            "LOCALPAYMENT_VAULT_TOKEN_FILE",
            "path",
            None,
            "A file that holds a token, such as the sink of Vault Agent; read anew each time.",
        ),
        Setting("LOCALPAYMENT_VAULT_ROLE_ID", "text", None, "AppRole login: the role id."),
        Setting(
            "LOCALPAYMENT_VAULT_SECRET_ID", "text", None, "AppRole login: the secret id. Never shown.", secret=True
        ),
        Setting("LOCALPAYMENT_VAULT_SECRET_ID_FILE", "path", None, "AppRole login: a file that holds the secret id."),
        Setting("LOCALPAYMENT_VAULT_ROLE", "name", None, "Kubernetes login: the role."),
        Setting(
            "LOCALPAYMENT_VAULT_JWT_FILE",
            "path",
            None,
            "Kubernetes login: the service account's token.",
            note=f"`{SERVICE_ACCOUNT_TOKEN}`",
        ),
        Setting(
            "LOCALPAYMENT_VAULT_AUTH_MOUNT",
            "path",
            None,
            "Where the login method is mounted.",
            note="`approle` or `kubernetes`",
        ),
    ),
)

AWS = Section(
    "Credentials: AWS Secrets Manager",
    (
        Setting(
            "LOCALPAYMENT_AWS_SECRET",
            "name or ARN",
            None,
            "The secret, a JSON object with the keys `username` and `password`. Needs the extra "
            "`localpayment-proxy[aws]`. AWS credentials come from where AWS's own tools take them.",
        ),
        Setting(
            "LOCALPAYMENT_AWS_REGION",
            "name",
            None,
            "The region.",
            note="that of the ARN, or of the AWS configuration",
        ),
        Setting(
            "LOCALPAYMENT_AWS_ENDPOINT", "origin", None, "Another endpoint, such as a VPC's.", note="AWS's endpoint"
        ),
    ),
)

READING_AGAIN = Section(
    "Credentials: reading them again",
    (
        Setting(
            "LOCALPAYMENT_CREDENTIALS_INTERVAL",
            "duration",
            None,
            "How long after a look at the source the next one follows. `POST /-/reload` has it looked at now.",
            note="`5s` for files, `5m` for the others",
        ),
    ),
)
