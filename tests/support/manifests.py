"""The manifests of config/kubernetes: each folder assembled, and what its sidecar would read."""

from __future__ import annotations

from pathlib import Path

import trustme

from proxy.config import Settings, load_settings
from tests.support.kustomization import Object, all_containers, assembled, pod_spec

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "config" / "kubernetes"
PRODUCT = "localpayment-proxy"
SIDECARS = ["sidecar/overlays/sandbox", "sidecar/overlays/production"]
GATEWAYS = ["gateway/overlays/sandbox", "gateway/overlays/production", "gateway/overlays/production-mtls"]
JOBS = ["job/native", "job/classic"]
SERVICES = [*SIDECARS, *GATEWAYS]
FOLDERS = [*SERVICES, *JOBS]
ASSEMBLED = {folder: assembled(KUBERNETES / folder) for folder in FOLDERS}
AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("localpayment-gateway")
CONTENTS = {
    "PROXY_ADMIN_KEY_FILE": b"an invented key of some length",
    "PROXY_TLS_CERT_FILE": CERTIFICATE.cert_chain_pems[0].bytes(),
    "PROXY_TLS_KEY_FILE": CERTIFICATE.private_key_pem.bytes(),
    "PROXY_TLS_CLIENT_CA_FILE": AUTHORITY.cert_pem.bytes(),
}


def one(objects: list[Object], kind: str) -> Object:
    (found,) = (obj for obj in objects if obj["kind"] == kind)
    return found


def workload(objects: list[Object]) -> Object:
    return one(objects, "Job" if any(obj["kind"] == "Job" for obj in objects) else "Deployment")


def proxy(objects: list[Object]) -> Object:
    (found,) = (container for container in all_containers(objects) if container["name"] == PRODUCT)
    return found


def environment(objects: list[Object]) -> dict[str, str]:
    """What the sidecar's container is told: the ConfigMap that it names, by the name that it names."""
    name = proxy(objects)["envFrom"][0]["configMapRef"]["name"]
    (data,) = (obj["data"] for obj in objects if (obj["kind"], obj["metadata"]["name"]) == ("ConfigMap", name))
    assert set(map(type, data.values())) == {str}
    return dict(data)


def settings(objects: list[Object], folder: Path) -> Settings:
    """The settings that the sidecar would read, with its mounts put below a folder."""
    told = environment(objects)
    files = {name: folder / name for name in told if name.endswith("_FILE")}
    for name, file in files.items():
        file.write_bytes(policy(objects).encode() if name == "PROXY_POLICY_FILE" else CONTENTS.get(name, b"invented"))
    return load_settings({**told, **{name: str(file) for name, file in files.items()}})


def policy(objects: list[Object]) -> str:
    """The policy that a gateway's pods mount."""
    (name,) = (
        volume["configMap"]["name"] for volume in pod_spec(workload(objects))["volumes"] if "configMap" in volume
    )
    (data,) = (obj["data"] for obj in objects if obj["metadata"]["name"] == name)
    return str(data["policy.toml"])
