"""Which files a process keeps a right to is told by its settings, and by what Python and the C library open late."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from proxy.config import (
    CredentialsFileSource,
    FilesSource,
    Origin,
    UnixAddress,
    VaultAppRole,
    VaultKubernetes,
    VaultSource,
)
from proxy.hardening import Files, Hardening, forget, harden, rules
from proxy.process import landlock
from proxy.process.landlock import READ, Access, Rule
from proxy.secret import Secret
from tests.support.sidecars import settings_for

if TYPE_CHECKING:
    from proxy.config import Settings

WRITING = Access.WRITE_FILE | Access.MAKE_REG | Access.MAKE_SOCK | Access.REMOVE_FILE
VAULT: dict[str, Any] = {"origin": Origin("vault", 443, tls=True), "mount": "secret", "path": "a", "namespace": None}


def settings(**changes: Any) -> Settings:
    return settings_for("http://127.0.0.1:1", **changes)


def readable(found: list[Rule]) -> set[str]:
    return {str(rule.path) for rule in found if Access.READ_FILE in rule.access}


@pytest.mark.parametrize(
    ("changes", "folders"),
    [
        ({"policy_file": Path("/srv/a/policy.toml")}, {"/srv/a"}),
        ({"upstream_ca_file": Path("/srv/ca/b.pem"), "admin_key_file": Path("/srv/key/b")}, {"/srv/ca", "/srv/key"}),
        ({"tls_cert_file": Path("/srv/c/a.pem"), "tls_key_file": Path("/srv/d/a.pem")}, {"/srv/c", "/srv/d"}),
        ({"credentials": FilesSource(Secret("u"), Path("/srv/e/password"))}, {"/srv/e"}),
        ({"credentials": CredentialsFileSource(Path("/srv/f/pair.json"))}, {"/srv/f"}),
        (
            {
                "credentials": VaultSource(
                    **VAULT, ca_file=Path("/srv/g/ca"), auth=VaultAppRole("a", "r", Path("/srv/h/s"))
                )
            },
            {"/srv/g", "/srv/h"},
        ),
        (
            {"credentials": VaultSource(**VAULT, ca_file=None, auth=VaultKubernetes("k", "r", Path("/srv/i/jwt")))},
            {"/srv/i"},
        ),
    ],
)
def test_the_folder_of_every_file_that_is_read_again_stays_readable(changes: dict[str, Any], folders: set[str]) -> None:
    added = readable(rules(settings(**changes))) - readable(rules(settings()))
    assert folders <= added
    assert all(place.startswith("/srv/") for place in added)


def test_where_a_name_points_to_and_the_settings_file_stay_readable_too(tmp_path: Path) -> None:
    target = tmp_path / "version" / "password"
    target.parent.mkdir()
    target.write_text("invented")
    link = tmp_path / "mounted"
    link.symlink_to(target)
    found = readable(rules(settings(credentials=FilesSource(Secret("u"), link)), (Path("/srv/settings.toml"),)))
    assert {str(tmp_path), str(target.parent), "/srv"} <= found


def test_only_the_audit_log_and_socket_files_can_be_written() -> None:
    found = rules(
        settings(
            audit_log=Path("/srv/log/audit.jsonl"),
            listen=UnixAddress(Path("/srv/data/p.sock")),
            admin_listen=UnixAddress(Path("/srv/admin/p.sock")),
        )
    )
    writable = {str(rule.path) for rule in found if rule.access & WRITING and not rule.path.suffix}
    devices = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"}
    assert writable == {"/srv/log", "/srv/data", "/srv/admin"} | devices
    assert not [rule for rule in rules(settings(audit_log="stdout")) if rule.access & Access.MAKE_REG]


def test_no_program_can_be_started_and_no_rule_is_about_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["", "/", *sys.path])
    found = rules(settings(policy_file=Path("/policy.toml"), audit_log=Path("/dev/stdout")))
    assert not [rule for rule in found if Access.EXECUTE in rule.access]
    assert Path("/") not in {rule.path for rule in found}
    assert Path("/dev") not in {rule.path for rule in found}
    assert Rule(Path("/policy.toml"), READ) in found


def test_secret_settings_and_no_others_are_removed_from_an_environment() -> None:
    environ = {
        "LOCALPAYMENT_PASSWORD": "p",
        "PROXY_EGRESS_PROXY": "http://u:p@proxy:1",
        "PROXY_LISTEN": "a",
        "PATH": "b",
    }
    forget(environ)
    assert environ == {"PROXY_LISTEN": "a", "PATH": "b"}


def test_where_there_is_no_landlock_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "_CREATE_RULESET", 999_999)
    assert landlock.version() == 0
    with pytest.raises(OSError, match="not implemented"):
        landlock.confine([])
    assert "let no Landlock be used" in str(Hardening(Files.UNAVAILABLE, dumps=True, privileges=True))


def test_what_is_off_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert harden(settings(hardening="off")) == Hardening(Files.OFF, dumps=False, privileges=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert harden(settings()) == Hardening()
