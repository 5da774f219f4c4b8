"""Settings come from the environment and a file, and all their mistakes come together."""

from __future__ import annotations

import json
import pickle
import traceback
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest

from proxy.config import (
    Environment,
    EnvironmentSource,
    FilesSource,
    Origin,
    Problem,
    SettingsError,
    TcpAddress,
    load_settings,
)
from proxy.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from proxy.config import Settings

LOGIN = {"LOCALPAYMENT_USERNAME": "name", "LOCALPAYMENT_PASSWORD": "word"}
SANDBOX = {"LOCALPAYMENT_ENVIRONMENT": "sandbox", **LOGIN}
PRODUCTION = {"LOCALPAYMENT_ENVIRONMENT": "production", "LOCALPAYMENT_BASE_URL": "https://api.example", **LOGIN}
CANARY = "canary-7f3a"


def problems(environ: Mapping[str, str]) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def only_problem(environ: Mapping[str, str]) -> str:
    found = problems(environ)
    assert len(found) == 1, found
    return str(found[0])


def from_file(path: Path, text: str, **environ: str) -> Mapping[str, str]:
    path.write_text(text, encoding="utf-8")
    return {"PROXY_CONFIG_FILE": str(path), **environ}


def test_the_sandbox_needs_credentials_and_nothing_else() -> None:
    settings = load_settings(SANDBOX)
    assert settings.environment is Environment.SANDBOX
    assert settings.origin == Origin("api.stage.localpayment.com", 443, tls=True)
    assert settings.credentials == EnvironmentSource(Secret("name"), Secret("word"))
    assert settings.listen == TcpAddress("127.0.0.1", 8080)
    assert settings.admin_listen == TcpAddress("127.0.0.1", 8081)
    assert (settings.allow_remote, settings.allowed_hosts, settings.policy_file) == (False, None, None)
    assert (settings.max_request_body, settings.replay_buffer, settings.max_in_flight) == (32 << 20, 1 << 20, 512)
    assert (settings.connect_timeout, settings.response_timeout, settings.idle_timeout) == (5.0, 60.0, 60.0)
    assert (settings.token_wait, settings.token_timeout, settings.header_timeout) == (2.5, 5.0, 10.0)
    assert (settings.drain_delay, settings.drain_timeout, settings.effects_idle) == (0.0, 25.0, 2.0)
    assert settings.max_connection_age == 300.0
    assert (settings.upstream_ca_file, settings.egress_proxy) == (None, None)
    assert (settings.log_level, settings.log_format) == ("info", None)


def test_nothing_at_all_is_told_in_two_lines() -> None:
    first, second = (str(problem) for problem in problems({}))
    assert first == "LOCALPAYMENT_ENVIRONMENT: missing: write sandbox or production"
    assert second.startswith("LOCALPAYMENT_USERNAME: no credentials: set LOCALPAYMENT_USERNAME and LOCALPAYMENT_PASS")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    text = """
        localpayment_environment = "sandbox"
        localpayment_username = "file-name"
        localpayment_password = "file-word"
        proxy_token_wait = "1s"
        proxy_connect_timeout = "1s"
        proxy_max_in_flight = 7
        proxy_allow_remote = true
        proxy_allowed_hosts = ["a", "b"]
        proxy_policy_file = ""
    """
    settings = load_settings(from_file(tmp_path / "c.toml", text, LOCALPAYMENT_PASSWORD="word", PROXY_TOKEN_WAIT="2s"))
    assert settings.credentials == EnvironmentSource(Secret("file-name"), Secret("word"))
    assert (settings.token_wait, settings.connect_timeout, settings.max_in_flight) == (2.0, 1.0, 7)
    assert settings.allow_remote
    assert settings.allowed_hosts == frozenset("ab")


def test_case_does_not_matter_where_words_are_chosen() -> None:
    settings = load_settings({**SANDBOX, "PROXY_LOG_LEVEL": "WARNING", "PROXY_LOG_FORMAT": "Console"})
    assert (settings.log_level, settings.log_format) == ("warning", "console")


def test_an_empty_value_counts_as_not_set() -> None:
    assert load_settings({**SANDBOX, "PROXY_LISTEN": "", "LOCALPAYMENT_PASSWORD_FILE": ""}) == load_settings(SANDBOX)
    assert only_problem({**SANDBOX, "LOCALPAYMENT_PASSWORD": ""}).startswith("LOCALPAYMENT_PASSWORD: missing")


def test_other_variables_and_those_of_kubernetes_are_left_alone() -> None:
    others = {"PATH": "/bin", "HTTPS_PROXY": "x", "LOCALPAYMENT_PROXY_PORT": "tcp://10.0.0.1:80", "proxy_listen": "x"}
    assert load_settings({**SANDBOX, **others}) == load_settings(SANDBOX)


@pytest.mark.parametrize("word", ["true", "TRUE", "1", "yes", "on", " y "])
def test_yes_may_be_said_in_several_words(word: str) -> None:
    assert load_settings({**SANDBOX, "PROXY_ALLOW_BROWSERS": word}).allow_browsers
    assert not load_settings({**SANDBOX, "PROXY_ALLOW_BROWSERS": "off"}).allow_browsers


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("LOCALPAYMENT_ENVIRONMENT", "prod", "LOCALPAYMENT_ENVIRONMENT=prod: write sandbox or production"),
        ("PROXY_ALLOW_REMOTE", "ja", "PROXY_ALLOW_REMOTE=ja: write true or false"),
        ("PROXY_MAX_IN_FLIGHT", "many", "PROXY_MAX_IN_FLIGHT=many: write a whole number, such as 512"),
        ("PROXY_MAX_IN_FLIGHT", "0", "PROXY_MAX_IN_FLIGHT=0: must be at least 1"),
        ("PROXY_MAX_IN_FLIGHT", "1000000", "PROXY_MAX_IN_FLIGHT=1000000: must be at most 100000"),
        ("PROXY_LOG_LEVEL", "loud", "PROXY_LOG_LEVEL=loud: write debug, info, warning or error"),
        ("PROXY_LOG_FORMAT", "xml", "PROXY_LOG_FORMAT=xml: write json or console"),
        ("PROXY_MAX_IN_FLIGHT", "-1", "PROXY_MAX_IN_FLIGHT=-1: must be at least 1"),
        (
            "PROXY_MAX_IN_FLIGHT",
            "\N{ARABIC-INDIC DIGIT FIVE}",
            "PROXY_MAX_IN_FLIGHT=\N{ARABIC-INDIC DIGIT FIVE}: write a whole",
        ),
        ("PROXY_REPLAY_BUFFER", "1", "PROXY_REPLAY_BUFFER=1: a size carries its unit"),
        (
            "PROXY_MAX_REQUEST_BODY",
            "10MB",
            "PROXY_MAX_REQUEST_BODY=10MB: a size carries its unit, in powers of 1024: w",
        ),
        ("PROXY_TOKEN_WAIT", "0s", "PROXY_TOKEN_WAIT=0s: must be longer than zero"),
        ("PROXY_POLICY_FILE", "/absent", "PROXY_POLICY_FILE=/absent: there is no such file"),
        ("PROXY_UPSTREAM_CA_FILE", __file__, f"PROXY_UPSTREAM_CA_FILE={__file__}"[:60]),
    ],
)
def test_a_wrong_value_is_one_line_with_the_fix(variable: str, value: str, line: str) -> None:
    assert only_problem({**SANDBOX, variable: value}).startswith(line)


def test_every_mistake_is_told_at_once_and_in_the_order_of_the_documentation(tmp_path: Path) -> None:
    text = 'proxy_max_in_flight = 1.5\nproxy_token_wait = 5\nlisten = "x"\nproxy_config_file = "other"\n'
    environ = {
        "LOCALPAYMENT_ENVIRONMENT": "production",
        "LOCALPAYMENT_PASSWORD": "word",
        "LOCALPAYMENT_PASSWORD_FILE": str(tmp_path / "absent"),
        "PROXY_LISTEN": "0.0.0.0:80",
        "PROXY_ADMIN_LISTEN": "[::]:80",
        "PROXY_CONNECT_TIMEOUT": "5",
        "PROXY_EGRESS_PROXY": f"https://u:{CANARY}@proxy:1",
        "PROXY_COLOUR": CANARY,
    }
    found = problems(from_file(tmp_path / "c.toml", text, **environ))
    assert [problem.variable for problem in found] == [
        "LOCALPAYMENT_BASE_URL",
        "LOCALPAYMENT_USERNAME",
        "LOCALPAYMENT_PASSWORD_FILE",
        "LOCALPAYMENT_PASSWORD_FILE",
        "PROXY_LISTEN",
        "PROXY_ADMIN_LISTEN",
        "PROXY_ADMIN_LISTEN",
        "PROXY_MAX_IN_FLIGHT",
        "PROXY_CONNECT_TIMEOUT",
        "PROXY_TOKEN_WAIT",
        "PROXY_EGRESS_PROXY",
        "PROXY_CONFIG_FILE",
        "PROXY_COLOUR",
        f"listen (in {tmp_path}/c.toml)",
    ]
    assert all("\n" not in str(problem) for problem in found)
    assert CANARY not in "\n".join(str(problem) for problem in found)
    by_variable = {problem.variable: problem for problem in found}
    assert str(by_variable["PROXY_TOKEN_WAIT"]).endswith("write 5s, 5ms, 5m or 5h (set in the settings file)")
    assert str(by_variable["PROXY_MAX_IN_FLIGHT"]) == (
        "PROXY_MAX_IN_FLIGHT=1.5: write a whole number, such as 512 (set in the settings file)"
    )
    assert by_variable[f"listen (in {tmp_path}/c.toml)"].text == "unknown setting: did you mean proxy_listen?"


def test_a_key_of_the_file_in_upper_case_is_answered_with_the_one_in_lower_case(tmp_path: Path) -> None:
    (problem,) = problems(from_file(tmp_path / "c.toml", 'PROXY_LOG_LEVEL = "info"\n', **SANDBOX))
    assert problem.text == "unknown setting: did you mean proxy_log_level?"


# One mistake, one line.


def test_a_misspelt_password_is_not_missing_as_well() -> None:
    environ = {"LOCALPAYMENT_ENVIRONMENT": "sandbox", "LOCALPAYMENT_USERNAME": "n", "LOCALPAYMENT_PASSWROD": CANARY}
    line = only_problem(environ)
    assert line == "LOCALPAYMENT_PASSWROD: unknown setting: did you mean LOCALPAYMENT_PASSWORD?"


def test_a_wrong_environment_makes_no_base_url_missing() -> None:
    assert only_problem({**LOGIN, "LOCALPAYMENT_ENVIRONMENT": "prod"}).startswith("LOCALPAYMENT_ENVIRONMENT=prod")


def test_a_wrong_base_url_does_not_hide_that_the_environment_is_missing() -> None:
    found = problems({**LOGIN, "LOCALPAYMENT_BASE_URL": "ftp://api.example"})
    assert [problem.variable for problem in found] == ["LOCALPAYMENT_ENVIRONMENT", "LOCALPAYMENT_BASE_URL"]


def test_a_wrong_base_url_is_not_missing() -> None:
    found = only_problem({**PRODUCTION, "LOCALPAYMENT_BASE_URL": "https://api.example/api"})
    assert found.startswith("LOCALPAYMENT_BASE_URL=https://api.example/api: must end after the host")


def test_a_wrong_permission_does_not_accuse_the_listener() -> None:
    environ = {**SANDBOX, "PROXY_LISTEN": "0.0.0.0:80", "PROXY_ALLOW_REMOTE": "ja"}
    assert only_problem(environ).startswith("PROXY_ALLOW_REMOTE=ja")


def test_an_unreadable_password_file_is_not_missing(tmp_path: Path) -> None:
    environ = {
        "LOCALPAYMENT_ENVIRONMENT": "sandbox",
        "LOCALPAYMENT_USERNAME": "n",
        "LOCALPAYMENT_PASSWORD_FILE": str(tmp_path),
    }
    assert "is a directory" in only_problem(environ)


def test_nothing_is_called_missing_when_the_file_that_may_hold_it_cannot_be_read(tmp_path: Path) -> None:
    assert only_problem({"PROXY_CONFIG_FILE": "/absent.toml"}).startswith("PROXY_CONFIG_FILE=/absent.toml: there is no")
    line = only_problem(from_file(tmp_path / "c.toml", f'a = "b"\nlocalpayment_password = {CANARY}\n'))
    assert "is not TOML at line 2, column 25: write key" in line
    assert CANARY not in line
    line = only_problem(from_file(tmp_path / "c.toml", 'a = """'))
    assert "is not TOML at its end" in line


def test_toml_of_a_thousand_levels_is_a_mistake_and_no_crash(tmp_path: Path) -> None:
    assert "is not TOML" in only_problem(from_file(tmp_path / "c.toml", "a = " + "[" * 5000))


# Rules between settings.


@pytest.mark.parametrize(
    "host", ["api.stage.localpayment.com", "API.Stage.Localpayment.com:443", "stage.localpayment.com"]
)
def test_production_never_goes_to_the_stage_host(host: str) -> None:
    line = only_problem({**PRODUCTION, "LOCALPAYMENT_BASE_URL": f"https://{host}"})
    assert "is the sandbox, but LOCALPAYMENT_ENVIRONMENT is production" in line


@pytest.mark.parametrize("host", ["api.localpayment.com", "localpayment.com", "api.v3.localpayment.com"])
def test_the_sandbox_never_goes_to_another_host_of_localpayment(host: str) -> None:
    line = only_problem({**SANDBOX, "LOCALPAYMENT_BASE_URL": f"https://{host}"})
    assert "is not the sandbox, but LOCALPAYMENT_ENVIRONMENT is sandbox" in line


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "https://mock.test", "https://notlocalpayment.com"])
def test_the_sandbox_may_be_a_stand_in(url: str) -> None:
    assert str(load_settings({**SANDBOX, "LOCALPAYMENT_BASE_URL": url}).origin) == url


def test_production_has_no_default_host() -> None:
    environ = {name: value for name, value in PRODUCTION.items() if name != "LOCALPAYMENT_BASE_URL"}
    assert only_problem(environ).startswith("LOCALPAYMENT_BASE_URL: required for production")
    assert load_settings(PRODUCTION).origin.host == "api.example"


@pytest.mark.parametrize("variable", ["PROXY_LISTEN", "PROXY_ADMIN_LISTEN"])
@pytest.mark.parametrize("address", ["0.0.0.0:9000", "[::]:9000", "192.0.2.1:9000", "proxy:9000"])
def test_a_listener_beyond_loopback_has_to_be_allowed(variable: str, address: str) -> None:
    line = only_problem({**SANDBOX, variable: address})
    assert line.startswith(f"{variable}={address}: is reachable from other machines: write 127.0.0.1:9000, or set")
    assert load_settings({**SANDBOX, variable: address, "PROXY_ALLOW_REMOTE": "true"}).allow_remote


@pytest.mark.parametrize(
    ("listen", "admin"),
    [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "localhost:8080"),
        ("localhost:8080", "[::1]:8080"),
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("127.0.0.1:8080", "[::]:8080"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
    ],
)
def test_callers_and_operators_do_not_share_an_address(listen: str, admin: str) -> None:
    environ = {**SANDBOX, "PROXY_LISTEN": listen, "PROXY_ADMIN_LISTEN": admin, "PROXY_ALLOW_REMOTE": "true"}
    assert only_problem(environ).startswith(f"PROXY_ADMIN_LISTEN={admin}: is taken by PROXY_LISTEN={listen}")


@pytest.mark.parametrize(
    ("listen", "admin"),
    [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:8080", "127.0.0.2:8080"),
        ("127.0.0.1:8080", "[::1]:8080"),
        ("unix:/run/a.sock", "unix:/run/b.sock"),
        ("unix:/run/a.sock", "127.0.0.1:8080"),
    ],
)
def test_different_addresses_are_fine(listen: str, admin: str) -> None:
    settings = load_settings({**SANDBOX, "PROXY_LISTEN": listen, "PROXY_ADMIN_LISTEN": admin})
    assert (str(settings.listen), str(settings.admin_listen)) == (listen, admin)


def test_username_and_password_may_each_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("word\n")
    environ = {"LOCALPAYMENT_ENVIRONMENT": "sandbox", "LOCALPAYMENT_PASSWORD_FILE": str(tmp_path / "word")}
    mixed = load_settings({**environ, "LOCALPAYMENT_USERNAME": "name"})
    assert mixed.credentials == FilesSource(Secret("name"), tmp_path / "word")
    (tmp_path / "name").write_text("name")
    both = load_settings({**environ, "LOCALPAYMENT_USERNAME_FILE": str(tmp_path / "name")})
    assert both.credentials == FilesSource(tmp_path / "name", tmp_path / "word")


def test_a_value_and_a_file_for_the_same_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "word").write_text("word\n")
    line = only_problem({**SANDBOX, "LOCALPAYMENT_PASSWORD_FILE": str(tmp_path / "word")})
    assert line == "LOCALPAYMENT_PASSWORD_FILE: LOCALPAYMENT_PASSWORD is set too: remove one of the two"


# A name that has changed is accepted for one more release.


def test_an_old_name_means_the_new_one_and_is_warned_of(tmp_path: Path) -> None:
    warning = "PROXY_SANDBOX is now called PROXY_HARDENING: rename it, the next release refuses the old name"
    settings = load_settings({**SANDBOX, "PROXY_SANDBOX": "off"})
    assert (settings.hardening, settings.warnings) == ("off", (warning,))
    settings = load_settings(from_file(tmp_path / "c.toml", 'proxy_sandbox = "off"', **SANDBOX))
    assert (settings.hardening, settings.warnings) == ("off", (warning,))
    assert load_settings({**SANDBOX, "PROXY_HARDENING": "off"}).warnings == ()
    assert load_settings({**SANDBOX, "PROXY_SANDBOX": ""}).warnings == ()


def test_a_wrong_value_of_an_old_name_is_told_with_the_old_name(tmp_path: Path) -> None:
    assert only_problem({**SANDBOX, "PROXY_SANDBOX": "on"}) == "PROXY_SANDBOX=on: write auto or off"
    line = only_problem(from_file(tmp_path / "c.toml", 'proxy_sandbox = "on"', **SANDBOX))
    assert line == "PROXY_SANDBOX=on: write auto or off (set in the settings file)"


def test_an_old_name_beside_the_new_one_is_a_mistake_wherever_they_stand(tmp_path: Path) -> None:
    told = "PROXY_SANDBOX: is the old name of PROXY_HARDENING, which is set too: remove PROXY_SANDBOX"
    assert only_problem({**SANDBOX, "PROXY_SANDBOX": "off", "PROXY_HARDENING": "off"}) == told
    both = from_file(tmp_path / "c.toml", 'proxy_sandbox = "off"', **SANDBOX, PROXY_HARDENING="auto")
    assert only_problem(both) == told


# Nothing that was written as a secret comes out again.


@pytest.mark.parametrize(
    "environ",
    [
        {"LOCALPAYMENT_PASSWORD": f"{CANARY}\udcff"},
        {"LOCALPAYMENT_BASE_URL": f"https://u:{CANARY}@api.example"},
        {"LOCALPAYMENT_BASE_URL": f"https://u:pa/{CANARY}@api.example"},
        {"LOCALPAYMENT_BASE_URL": f"https://api.example?key={CANARY}"},
        {"LOCALPAYMENT_BASE_URL": f"u:{CANARY}@api.example"},
        {"PROXY_EGRESS_PROXY": f"http://u:{CANARY}@proxy"},
        {"PROXY_EGRESS_PROXY": CANARY},
        {"LOCALPAYMENT_PASSWORT": CANARY},
        {"PROXY_SECRET_THING": CANARY},
    ],
)
def test_no_message_no_traceback_and_no_chain_shows_a_secret(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({**SANDBOX, "LOCALPAYMENT_USERNAME": CANARY, **environ})
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    told = "".join(traceback.format_exception(error)) + repr(error) + repr(error.problems)
    assert CANARY not in told


def test_an_unquoted_password_in_the_file_is_refused_and_not_shown(tmp_path: Path) -> None:
    text = 'localpayment_environment = "sandbox"\nlocalpayment_username = "n"\nlocalpayment_password = 735173\n'
    line = only_problem(from_file(tmp_path / "c.toml", text))
    assert line == "LOCALPAYMENT_PASSWORD: must be a text: put it in quotes (set in the settings file)"


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    line = only_problem(from_file(tmp_path / "c.toml", "proxy_policy_file = 1", **SANDBOX))
    assert line == "PROXY_POLICY_FILE=1: must be a path: put it in quotes (set in the settings file)"


def test_a_secret_of_white_space_is_none() -> None:
    line = only_problem({**SANDBOX, "LOCALPAYMENT_PASSWORD": "  "})
    assert line == "LOCALPAYMENT_PASSWORD: holds nothing but white space: write the value"


def test_a_value_is_shown_on_one_short_line() -> None:
    line = only_problem({**SANDBOX, "PROXY_LISTEN": "a\nb" + "c" * 200})
    assert line.startswith("PROXY_LISTEN=a�bcc")
    assert "c…: " in line


def test_settings_show_no_secret_and_no_serialiser_writes_one_out() -> None:
    settings: Settings = load_settings({**SANDBOX, "LOCALPAYMENT_PASSWORD": CANARY})
    assert CANARY not in repr(settings)
    with pytest.raises(TypeError, match="a Secret is not serialised"):
        pickle.dumps(settings)
    with pytest.raises(TypeError, match="Secret is not JSON serializable"):
        json.dumps({field.name: getattr(settings.credentials, field.name) for field in fields(settings.credentials)})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LOCALPAYMENT_BASE_URL", f"https://user:{CANARY}@host/path"),
        ("LOCALPAYMENT_BASE_URL", f"https://user:{CANARY}"),
        ("LOCALPAYMENT_BASE_URL", f"https://user:5{CANARY}/path"),
        ("LOCALPAYMENT_BASE_URL", f"user:{CANARY}@host"),
        ("LOCALPAYMENT_BASE_URL", f"https://host/?key={CANARY}"),
        ("PROXY_EGRESS_PROXY", f"https://user:{CANARY}@host"),
        ("PROXY_EGRESS_PROXY", f"user:{CANARY}"),
        ("PROXY_OTEL_ENDPOINT", f"https://user:{CANARY}"),
        ("PROXY_ADMIN_KEY_FILE", CANARY),
        ("PROXY_AUDIT_KEY_FILE", CANARY),
        ("PROXY_OTEL_HEADERS_FILE", f"Authorization: Bearer {CANARY}"),
        ("PROXY_TLS_KEY_FILE", f"-----BEGIN {CANARY}"),
        ("LOCALPAYMENT_PASSWORD_FILE", CANARY),
        ("LOCALPAYMENT_CREDENTIALS_FILE", f'{{"username": "u", "password": "{CANARY}"}}'),
        ("LOCALPAYMENT_AWS_SECRET", f'{{"username":"u","password":"{CANARY}"}}'),
        ("LOCALPAYMENT_CREDENTIALS_COMMAND", f"vault --token='{CANARY}"),
        ("LOCALPAYMENT_PASWORD", CANARY),
        ("LOCALPAYMENT_PASSWORD", f"{CANARY}\udcff"),
        ("LOCALPAYMENT_PASSWORD", f"{CANARY}\0"),
    ],
)
def test_a_wrong_value_that_may_hold_a_secret_is_never_quoted(variable: str, value: str) -> None:
    told = "\n".join(map(str, problems({**SANDBOX, variable: value})))
    assert variable in told
    assert CANARY not in told


def test_a_path_that_is_wrong_is_quoted() -> None:
    line = only_problem({**SANDBOX, "PROXY_ADMIN_KEY_FILE": "/absent/key"})
    assert line == "PROXY_ADMIN_KEY_FILE=/absent/key: there is no such file: check the path and that it is mounted"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_newline_at_a_secrets_end_is_not_part_of_it(end: str) -> None:
    environ = {**SANDBOX, "LOCALPAYMENT_USERNAME": f"name{end}", "LOCALPAYMENT_PASSWORD": f" two words {end}"}
    assert load_settings(environ).credentials == EnvironmentSource(Secret("name"), Secret(" two words "))
    once = {**SANDBOX, "LOCALPAYMENT_PASSWORD": f"word{end}\n"}
    assert load_settings(once).credentials == EnvironmentSource(
        Secret(LOGIN["LOCALPAYMENT_USERNAME"]), Secret(f"word{end}")
    )
