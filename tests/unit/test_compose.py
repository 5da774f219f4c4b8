"""docker-compose.yml is what Compose accepts, and its services fit each other and what they mount."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner, Result

from proxy.cli.commands import commands
from proxy.config import FilesSource, LedgerFile, Settings, load_settings
from proxy.wiring import CLOSING

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("localpayment-proxy")}
SIDECARS = ["sidecar", "sandbox"]
POD = ["sidecar", "caller", "prometheus", "grafana"]
OPEN = {3000: "grafana", 9090: "prometheus"}
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def mounted(service: dict[str, Any]) -> dict[str, Path]:
    """Path in the container → path here, of what is mounted from here."""
    split = (one.split(":") for one in service.get("volumes", ()))
    return {target: ROOT / source for source, target, *_ in split if source.startswith(".")}


def settings_of(name: str, secrets: Path) -> Settings:
    """A sidecar's settings, with the secrets that it is shown in a folder of the test's."""
    for secret in SERVICES[name].get("secrets", ()):
        (secrets / secret).write_text("invented")
    told = SERVICES[name]["environment"].items()
    return load_settings({key: value.replace("/run/secrets", str(secrets)) for key, value in told})


def judged(file: Path) -> Result:
    """What the schema of the Compose Specification says of a file."""
    return CliRunner().invoke(check_jsonschema, ["--builtin-schema", "vendor.compose-spec", str(file)])


def test_the_compose_specification_accepts_it() -> None:
    done = judged(FILE)
    assert done.exit_code == 0, done.output


def test_a_mistyped_field_would_be_found(tmp_path: Path) -> None:
    mistyped = tmp_path / "docker-compose.yml"
    mistyped.write_text(FILE.read_text().replace("read_only:", "readonly:"))
    done = judged(mistyped)
    assert done.exit_code == 1
    assert "readonly" in done.output


@every_service
def test_a_service_has_no_more_rights_than_it_needs(service: dict[str, Any]) -> None:
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    writable = [mount for mount in service.get("volumes", ()) if not mount.endswith(":ro")]
    assert all(mount.partition(":")[0] in COMPOSE["volumes"] for mount in writable)
    assert len(writable) == ("PROXY_LEDGER" in service.get("environment", {}))


@pytest.mark.parametrize("name", SIDECARS)
def test_a_sidecar_s_ledger_is_in_a_volume_of_its_own_which_the_image_prepares(name: str, tmp_path: Path) -> None:
    (mount,) = SERVICES[name]["volumes"]
    volume, _, folder = mount.partition(":")
    place = settings_of(name, tmp_path).ledger
    assert isinstance(place, LedgerFile)
    assert str(place.path.parent) == folder
    assert [one for one in SERVICES.values() if mount in one.get("volumes", ())] == [SERVICES[name]]
    assert volume in COMPOSE["volumes"]
    assert f"mkdir -m 0700 {folder} && chown 65532:65532 {folder}" in (ROOT / "Dockerfile").read_text()


def test_only_what_is_to_be_looked_at_is_reached_from_this_machine_and_nothing_from_others() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published == [f"127.0.0.1:{port}:{port}" for port in OPEN]
    assert SERVICES["grafana"]["environment"]["GF_SERVER_HTTP_PORT"] == "3000"
    assert "--web.listen-address=0.0.0.0:9090" in SERVICES["prometheus"]["command"]


def test_images_of_others_have_a_version_and_a_digest() -> None:
    for service in SERVICES.values():
        pinned = re.fullmatch(r"docker\.io/[\w./-]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", service["image"])
        assert service["image"].endswith(":dev") if service in OURS.values() else pinned


@pytest.mark.parametrize("service", OURS.values(), ids=OURS)
def test_a_service_of_ours_runs_the_image_that_make_builds(service: dict[str, Any]) -> None:
    assert f"IMAGE ?= {service['image']}\n" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("name", ["simulator", *SIDECARS])
def test_a_command_of_a_service_is_one_of_ours(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    options = {option for one in commands.commands[command].params for option in one.opts}
    assert set(arguments) <= options


@pytest.mark.parametrize("name", POD)
def test_all_share_the_network_namespace_in_which_loopback_is_enough(name: str) -> None:
    assert SERVICES[name]["network_mode"] == "service:simulator"


def test_the_sidecar_accepts_its_settings_and_calls_nobody_but_the_simulator() -> None:
    settings = load_settings(SERVICES["sidecar"]["environment"])
    assert str(settings.origin) == "http://127.0.0.1:8090"
    assert not settings.allow_remote


def test_the_sandbox_is_asked_for_by_name_and_takes_secrets_from_files(tmp_path: Path) -> None:
    service = SERVICES["sandbox"]
    settings = settings_of("sandbox", tmp_path)
    assert service["profiles"] == ["sandbox"]
    assert settings.origin.tls
    assert not settings.allow_remote
    assert isinstance(settings.credentials, FilesSource)
    shown = {tmp_path / name for name in service["secrets"]}
    assert {settings.credentials.username, settings.credentials.password} == shown
    assert COMPOSE["secrets"].keys() == set(service["secrets"])
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())
    assert "secrets/" in (ROOT / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize("name", SIDECARS)
def test_a_stop_waits_as_long_as_a_drain_takes(name: str, tmp_path: Path) -> None:
    settings = settings_of(name, tmp_path)
    grace = float(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace >= settings.drain_delay + settings.drain_timeout + 2 * CLOSING


def test_the_caller_waits_until_the_sidecar_is_ready_and_finds_its_script() -> None:
    caller = SERVICES["caller"]
    assert caller["depends_on"] == {"sidecar": {"condition": "service_healthy"}}
    (target,) = set(mounted(caller)) & set(caller["entrypoint"])
    assert mounted(caller)[target].is_file()
    assert caller["init"], "Python as process 1 would not hear SIGTERM"


def test_prometheus_finds_its_configuration_its_rules_and_a_place_to_write() -> None:
    service = SERVICES["prometheus"]
    told = dict(word.removeprefix("--").split("=", 1) for word in service["command"])
    folder, _, name = told["config.file"].rpartition("/")
    scrape = mounted(service)[folder] / name
    configured = yaml.safe_load(scrape.read_text())
    assert all((scrape.parent / rule).is_file() for rule in configured["rule_files"])
    assert told["storage.tsdb.path"] in [one.split(":")[0] for one in service["tmpfs"]]
    (target,) = configured["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == str(load_settings(SERVICES["sidecar"]["environment"]).admin_listen)


def test_grafana_finds_prometheus_and_the_dashboard_where_it_was_told() -> None:
    service = SERVICES["grafana"]
    provisioning = mounted(service)["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "localpayment-proxy.yml").read_text())["providers"]
    assert source["url"] == "http://127.0.0.1:9090", "in the namespace that both share"
    home = Path(service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    shown = json.loads((mounted(service)[str(home.parent)] / home.name).read_text())
    (choice,) = (one for one in shown["templating"]["list"] if one["type"] == "datasource")
    assert choice["query"] == source["type"]
    used = {target.get("datasource", {}).get("uid") for panel in shown["panels"] for target in panel.get("targets", ())}
    assert used <= {None, f"${{{choice['name']}}}"}


def test_nobody_can_log_in_to_grafana_and_it_asks_nobody_outside() -> None:
    told = SERVICES["grafana"]["environment"]
    assert told["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert told["GF_AUTH_DISABLE_LOGIN_FORM"] == told["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert told["GF_ANALYTICS_CHECK_FOR_UPDATES"] == told["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
