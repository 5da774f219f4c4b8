"""Assembles a folder as kustomize would: the part of its language that config/kubernetes uses, and no more.

Bare machines have no kustomize; where there is one, a test compares. A field that is not known here is an error.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Object = dict[str, Any]

# kustomize writes a hash of the content behind a generated name, without digits and letters that could spell words.
_UNSPELLING: Final = str.maketrans("013ae", "ghkmt")
_POD_TEMPLATES: Final = {"Deployment", "Job"}


def assembled(folder: Path) -> list[Object]:
    """Return the objects that `kubectl apply -k FOLDER` would send, in no particular order."""
    objects = _built(folder)
    _name_generated(objects)
    return objects


def _built(folder: Path) -> list[Object]:
    told: Object = yaml.safe_load((folder / "kustomization.yaml").read_text())
    objects: list[Object] = []
    for field, value in sorted(told.items(), key=lambda item: list(_FIELDS).index(item[0])):
        _FIELDS[field](folder, objects, value)
    return objects


def _ignore(folder: Path, objects: list[Object], value: object) -> None:
    """Take note of nothing: `apiVersion` and `kind`."""


def _add_resources(folder: Path, objects: list[Object], value: list[str]) -> None:
    for name in value:
        path = folder / name
        objects += _built(path.resolve()) if path.is_dir() else yaml.safe_load_all(path.read_text())


def _add_config_maps(folder: Path, objects: list[Object], value: list[Object]) -> None:
    for told in value:
        data = dict(text.split("=", 1) for text in told.get("literals", []))
        data |= {name: (folder / name).read_text() for name in told.get("files", [])}
        if told.get("behavior") == "merge":
            _only(objects, "ConfigMap", told["name"])["data"] |= data
        else:
            metadata = {"name": told["name"], "generated": True}
            objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        assert not told.keys() - {"name", "behavior", "literals", "files"}, told


def _patch(folder: Path, objects: list[Object], value: list[Object]) -> None:
    del folder
    for patch in value:
        target = _only(objects, patch["target"]["kind"], patch["target"]["name"])
        for step in yaml.safe_load(patch["patch"]):
            *way, last = step["path"].removeprefix("/").split("/")
            place: Any = target
            for part in way:
                place = place[int(part) if isinstance(place, list) else part]
            match step["op"], last:
                case "add", "-":
                    place.append(step["value"])
                case "replace", _:
                    key = int(last) if isinstance(place, list) else last
                    assert place[key] is not None, step
                    place[key] = step["value"]
                case _:
                    raise AssertionError(step)


def _set_namespace(folder: Path, objects: list[Object], value: str) -> None:
    del folder
    for one in objects:
        one["metadata"]["namespace"] = value


def _add_labels(folder: Path, objects: list[Object], value: list[Object]) -> None:
    del folder
    for told in value:
        assert told.keys() == {"pairs"}, told
        for one in objects:
            one["metadata"].setdefault("labels", {}).update(told["pairs"])


def _set_replicas(folder: Path, objects: list[Object], value: list[Object]) -> None:
    del folder
    for told in value:
        _only(objects, "Deployment", told["name"])["spec"]["replicas"] = told["count"]


def _set_images(folder: Path, objects: list[Object], value: list[Object]) -> None:
    del folder
    for told in value:
        version = f"@{told['digest']}" if "digest" in told else f":{told['newTag']}"
        for container in all_containers(objects):
            if container["image"] == told["name"]:
                container["image"] = told["newName"] + version


# In the order in which they are carried out.
_FIELDS: Final[dict[str, Callable[[Path, list[Object], Any], None]]] = {
    "apiVersion": _ignore,
    "kind": _ignore,
    "resources": _add_resources,
    "configMapGenerator": _add_config_maps,
    "patches": _patch,
    "namespace": _set_namespace,
    "labels": _add_labels,
    "replicas": _set_replicas,
    "images": _set_images,
}


def pod_spec(one: Object) -> Object:
    """Return the specification of the pods that an object makes."""
    spec: Object = one["spec"]["template"]["spec"]
    return spec


def all_containers(objects: list[Object]) -> Iterator[Object]:
    """Yield each container, sidecars first, as it stands in its object."""
    for one in objects:
        if one["kind"] in _POD_TEMPLATES:
            yield from pod_spec(one).get("initContainers", [])
            yield from pod_spec(one)["containers"]


def _only(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def _name_generated(objects: list[Object]) -> None:
    names = {one["metadata"]["name"]: _generated_name(one) for one in objects if one["metadata"].pop("generated", None)}
    for one in objects:
        if one["kind"] == "ConfigMap":
            one["metadata"]["name"] = names[one["metadata"]["name"]]
    for container in all_containers(objects):
        for source in container.get("envFrom", []):
            source["configMapRef"]["name"] = names[source["configMapRef"]["name"]]
    for one in objects:
        if one["kind"] in _POD_TEMPLATES:
            for volume in pod_spec(one).get("volumes", []):
                if "configMap" in volume:
                    volume["configMap"] = copy.copy(volume["configMap"]) | {"name": names[volume["configMap"]["name"]]}


def _generated_name(config_map: Object) -> str:
    content = {"data": config_map["data"], "kind": "ConfigMap", "name": ""}  # kustomize leaves the name out of its hash
    written = json.dumps(content, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for sign in "<>&":  # as Go's encoder writes them
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return (
        f"{config_map['metadata']['name']}-{hashlib.sha256(written.encode()).hexdigest()[:10].translate(_UNSPELLING)}"
    )
