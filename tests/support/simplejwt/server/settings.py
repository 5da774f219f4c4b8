"""The Django site: stock REST framework and Simple JWT; only lifetimes and switches are ours."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

if TYPE_CHECKING:
    import argparse

APPS = (
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
)
SESSION = "rest_framework.authentication.SessionAuthentication"
TOKEN = "rest_framework_simplejwt.authentication.JWTAuthentication"
STOCK = "rest_framework.views.exception_handler"


def configure(options: argparse.Namespace) -> None:
    """Set Django up and make the tables."""
    settings.configure(
        SECRET_KEY=secrets.token_hex(32),
        DEBUG=False,
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        USE_TZ=True,
        STATIC_URL="/static/",
        ROOT_URLCONF="tests.support.simplejwt.server.urls",
        INSTALLED_APPS=APPS,
        # CommonMiddleware is what redirects a path without its trailing slash, as in every stock project.
        MIDDLEWARE=["tests.support.simplejwt.server.middleware.observed", "django.middleware.common.CommonMiddleware"],
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        DATABASES={"default": _database(options)},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        # Migrations and a costly password hash would only make every start and login slow.
        MIGRATION_MODULES=dict.fromkeys(("auth", "contenttypes", "token_blacklist")),
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [*([SESSION] if options.session_first else []), TOKEN],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
            "EXCEPTION_HANDLER": f"tests.support.simplejwt.server.handlers.{options.errors}"
            if options.errors
            else STOCK,
        },
        SIMPLE_JWT={
            "ACCESS_TOKEN_LIFETIME": timedelta(seconds=options.access_lifetime),
            "REFRESH_TOKEN_LIFETIME": timedelta(seconds=options.refresh_lifetime),
            "ROTATE_REFRESH_TOKENS": options.rotate,
            "BLACKLIST_AFTER_ROTATION": options.blacklist,
            "CHECK_REVOKE_TOKEN": options.check_revoke,
        },
    )
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)


def application() -> Any:
    return get_wsgi_application()


def _database(options: argparse.Namespace) -> dict[str, object]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": options.directory / "peer.sqlite3",
        "CONN_MAX_AGE": None,
        # Threads write at once: take the write lock first, wait for it, and keep readers out of its way.
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        },
    }
