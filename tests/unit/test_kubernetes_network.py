"""Who reaches whom in config/kubernetes, and who is let in at the gateway."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest

from proxy.policy.file import parse_policy
from proxy.policy.lint import lint
from tests.support.kustomization import all_containers, pod_spec
from tests.support.manifests import ASSEMBLED, GATEWAYS, SERVICES, one, policy, settings, workload

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("folder", GATEWAYS)
def test_callers_of_the_gateway_are_known_and_nobody_has_a_listed_key_yet(folder: str) -> None:
    file = parse_policy(policy(ASSEMBLED[folder]))
    assert not lint(file)
    for caller in file.policy.callers:
        assert not caller.identity.anyone
        assert all(int.from_bytes(digest) < 10 for digest in caller.identity.keys), "a hash that somebody's key has"


def test_callers_with_certificates_are_the_only_ones_and_must_have_one(tmp_path: Path) -> None:
    read = settings(ASSEMBLED["gateway/overlays/production-mtls"], tmp_path)
    assert read.tls_cert_file is not None
    assert read.tls_client_ca_file is not None
    callers = parse_policy(policy(ASSEMBLED["gateway/overlays/production-mtls"])).policy.callers
    assert all(caller.identity.sans and not caller.identity.keys for caller in callers)


@pytest.mark.parametrize("folder", GATEWAYS)
def test_the_gateway_accepts_the_names_of_its_service_in_its_namespace(folder: str, tmp_path: Path) -> None:
    service = one(ASSEMBLED[folder], "Service")["metadata"]
    name, namespace = service["name"], service["namespace"]
    ends = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    assert settings(ASSEMBLED[folder], tmp_path).allowed_hosts == frozenset(name + end for end in ends)


@pytest.mark.parametrize("folder", SERVICES)
def test_every_selector_finds_the_pods(folder: str) -> None:
    objects = ASSEMBLED[folder]
    labels = workload(objects)["spec"]["template"]["metadata"]["labels"]
    spread = pod_spec(workload(objects)).get("topologySpreadConstraints", [])
    selectors: list[Any] = [
        one(objects, "Service")["spec"]["selector"],
        one(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        one(objects, "PodMonitor")["spec"]["selector"]["matchLabels"],
        *(obj["spec"]["selector"]["matchLabels"] for obj in objects if obj["kind"] == "PodDisruptionBudget"),
        *(constraint["labelSelector"]["matchLabels"] for constraint in spread),
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)


@pytest.mark.parametrize("folder", SERVICES)
def test_ports_are_named_as_the_pods_name_them(folder: str) -> None:
    objects = ASSEMBLED[folder]
    named = {port["name"] for container in all_containers(objects) for port in container.get("ports", [])}
    service = {port["targetPort"] for port in one(objects, "Service")["spec"]["ports"]}
    policy = one(objects, "NetworkPolicy")["spec"]
    monitor = one(objects, "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert service <= named - {"proxy-admin"}, "the admin listener is in no Service"
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} <= named
    assert [(endpoint["port"], endpoint["path"]) for endpoint in monitor] == [("proxy-admin", "/metrics")]


@pytest.mark.parametrize("folder", SERVICES)
def test_pods_reach_names_and_https_on_public_addresses_and_nothing_else(folder: str) -> None:
    dns, https = one(ASSEMBLED[folder], "NetworkPolicy")["spec"]["egress"]
    assert {(port["protocol"], port["port"]) for port in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert [(port["protocol"], port["port"]) for port in https["ports"]] == [("TCP", 443)]
    (block,) = (peer["ipBlock"] for peer in https["to"])
    shut = [ipaddress.ip_network(text) for text in block["except"]]
    inside = ["10.1.2.3", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1"]
    assert all(any(ipaddress.ip_address(address) in network for network in shut) for address in inside)


@pytest.mark.parametrize("folder", GATEWAYS)
def test_the_autoscaler_alone_decides_how_many_gateways_there_are(folder: str) -> None:
    deployment = workload(ASSEMBLED[folder])
    scaler = one(ASSEMBLED[folder], "HorizontalPodAutoscaler")["spec"]
    assert "replicas" not in deployment["spec"]
    assert scaler["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert scaler["minReplicas"] <= scaler["maxReplicas"]
