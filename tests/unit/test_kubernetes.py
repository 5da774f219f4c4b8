"""config/kubernetes is what Kubernetes accepts, what the sidecar accepts, and no more than either needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from proxy.config import Environment, TcpAddress
from proxy.process.memory import connections_in, default_budget
from proxy.wiring import CLOSING
from tests.support.kustomization import Object, all_containers, assembled, pod_spec
from tests.support.manifests import (
    ASSEMBLED,
    FOLDERS,
    JOBS,
    KUBERNETES,
    PRODUCT,
    SERVICES,
    SIDECARS,
    environment,
    proxy,
    settings,
    workload,
)

every_folder = pytest.mark.parametrize(("folder", "objects"), ASSEMBLED.items(), ids=ASSEMBLED)
# Native sidecars are on by default from 1.29, `sleep` in preStop from 1.30.
VERSIONS = ["1.30", kubernetes_validate.latest_version().removesuffix(".0")]
FOREIGN = {"PodMonitor"}  # kinds of the Prometheus operator, whose schemas Kubernetes does not have
DAY = 86400
RESIDENT = 80  # MiB of a sidecar under load, without the bodies it holds; docs/how-to/kubernetes.md has the figures


def mebibytes(quantity: str) -> int:
    return int(quantity.removesuffix("Mi"))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kustomize is not here: no kubectl")
@every_folder
def test_kustomize_itself_assembles_the_same(folder: str, objects: list[Object]) -> None:
    command = ["kubectl", "kustomize", str(KUBERNETES / folder)]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    theirs = {(obj["kind"], obj["metadata"]["name"]): obj for obj in yaml.safe_load_all(printed)}
    assert theirs == {(obj["kind"], obj["metadata"]["name"]): obj for obj in objects}


@pytest.mark.parametrize("version", VERSIONS)
@every_folder
def test_every_object_is_valid_for_kubernetes(folder: str, objects: list[Object], version: str) -> None:
    assert folder in FOLDERS
    known = [obj for obj in objects if obj["kind"] not in FOREIGN]
    assert {kubernetes_validate.validate(obj, version, strict=True) for obj in known} == {version}


def test_a_mistyped_field_would_be_found() -> None:
    deployment = workload(assembled(KUBERNETES / "sidecar/overlays/sandbox"))
    pod_spec(deployment)["initContainers"][0]["restartPolcy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@every_folder
def test_the_sidecar_accepts_its_settings(folder: str, objects: list[Object], tmp_path: Path) -> None:
    read = settings(objects, tmp_path)
    assert read.environment is (Environment.PRODUCTION if "production" in folder else Environment.SANDBOX)
    assert read.policy_file is None or "gateway" in folder


@every_folder
def test_each_file_of_a_setting_is_mounted_whole_from_where_it_is_kept(folder: str, objects: list[Object]) -> None:
    assert folder in FOLDERS
    mounts = proxy(objects)["volumeMounts"]
    volumes = {volume["name"]: volume for volume in pod_spec(workload(objects))["volumes"]}
    assert all("subPath" not in mount and mount["name"] in volumes for mount in mounts)
    files = {Path(text) for name, text in environment(objects).items() if name.endswith("_FILE")}
    assert {file.parent for file in files} == {Path(mount["mountPath"]) for mount in mounts if mount.get("readOnly")}
    secret = {volumes[mount["name"]]["secret"]["defaultMode"] for mount in mounts if "secret" in volumes[mount["name"]]}
    assert secret == {0o440}


@every_folder
def test_the_one_place_that_may_be_written_is_the_ledger_s_and_bounded(folder: str, objects: list[Object]) -> None:
    mounts = [mount for mount in proxy(objects)["volumeMounts"] if not mount.get("readOnly")]
    volumes = {volume["name"]: volume for volume in pod_spec(workload(objects))["volumes"]}
    place = environment(objects).get("PROXY_LEDGER", "off")
    if folder in JOBS:
        assert (place, mounts) == ("off", [])
        return
    (mount,) = mounts
    assert Path(place.removeprefix("sqlite:")).parent == Path(mount["mountPath"])
    assert volumes[mount["name"]]["emptyDir"].keys() == {"sizeLimit"}


@every_folder
def test_only_the_sidecar_sees_the_credentials(folder: str, objects: list[Object]) -> None:
    assert folder in FOLDERS
    others = [container for container in all_containers(objects) if container["name"] != PRODUCT]
    assert not [container for container in others if "volumeMounts" in container or "envFrom" in container]


@every_folder
def test_no_container_has_more_rights_than_it_needs(folder: str, objects: list[Object]) -> None:
    assert folder in FOLDERS
    pod = pod_spec(workload(objects))
    assert not pod["automountServiceAccountToken"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in all_containers(objects):
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert rights.get("runAsUser", pod["securityContext"].get("runAsUser")) == 65532
        assert "memory" in container["resources"]["limits"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@every_folder
def test_the_memory_limit_leaves_room_for_what_calls_hold(folder: str, objects: list[Object], tmp_path: Path) -> None:
    assert folder in FOLDERS
    read, resources = settings(objects, tmp_path), proxy(objects)["resources"]
    assert mebibytes(resources["requests"]["memory"]) >= RESIDENT
    limit = mebibytes(resources["limits"]["memory"]) * 2**20
    tls = read.tls_cert_file is not None
    connections = min(read.max_connections, connections_in(limit, tls=tls))
    assert default_budget(limit, read.max_in_flight, connections, tls=tls) >= 16 * 2**20
    assert connections_in(limit, tls=read.tls_cert_file is not None) >= 512


@every_folder
def test_the_grace_period_is_long_enough_for_all_that_happens_in_it(
    folder: str, objects: list[Object], tmp_path: Path
) -> None:
    assert folder in FOLDERS
    read, pod = settings(objects, tmp_path), pod_spec(workload(objects))
    pauses = [container.get("lifecycle", {}).get("preStop", {}) for container in all_containers(objects)]
    slept = sum(pause["sleep"]["seconds"] for pause in pauses if pause)
    assert pod["terminationGracePeriodSeconds"] >= slept + read.drain_delay + read.drain_timeout + 2 * CLOSING


@pytest.mark.parametrize("folder", SERVICES)
def test_a_probe_asks_a_page_of_the_admin_listener_by_the_name_of_its_port(folder: str, tmp_path: Path) -> None:
    container = proxy(ASSEMBLED[folder])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    asked = {probe: container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe: get["path"] for probe, get in asked.items()} == {
        "startupProbe": "/startupz",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    admin = settings(ASSEMBLED[folder], tmp_path).admin_listen
    assert isinstance(admin, TcpAddress)
    assert {ports[get["port"]] for get in asked.values()} == {admin.port}


@pytest.mark.parametrize("folder", SERVICES)
def test_a_wrong_password_is_never_made_a_crash_loop(folder: str) -> None:
    probe = proxy(ASSEMBLED[folder])["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= DAY


@pytest.mark.parametrize("folder", [*SIDECARS, *JOBS])
def test_beside_an_app_calls_are_taken_from_loopback_alone(folder: str, tmp_path: Path) -> None:
    listen = settings(ASSEMBLED[folder], tmp_path).listen
    assert isinstance(listen, TcpAddress)
    assert listen.is_loopback
    assert {port["containerPort"] for port in proxy(ASSEMBLED[folder]).get("ports", [])} <= {8081}


@pytest.mark.parametrize("folder", SIDECARS)
def test_the_sidecar_outlives_the_app_and_is_started_before_it(folder: str) -> None:
    pod = pod_spec(workload(ASSEMBLED[folder]))
    assert [container["name"] for container in pod["initContainers"]] == [PRODUCT]
    assert pod["initContainers"][0]["restartPolicy"] == "Always"


@every_folder
def test_images_are_named_and_those_of_production_cannot_be_moved(folder: str, objects: list[Object]) -> None:
    images = {container["image"] for container in all_containers(objects)}
    assert all(image.startswith("registry.example/") for image in images)
    assert all(("@sha256:" in image) == ("production" in folder) for image in images)


@pytest.mark.parametrize("folder", JOBS)
def test_a_job_that_failed_is_not_run_again(folder: str) -> None:
    job = workload(ASSEMBLED[folder])
    assert job["spec"]["backoffLimit"] == 0
    assert pod_spec(job)["restartPolicy"] == "Never"
