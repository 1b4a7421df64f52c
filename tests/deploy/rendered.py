"""What kustomize makes of an overlay, and where the pods of its objects are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "k8s"
OVERLAYS = ("dev", "prod")
BIN = Path(sys.executable).parent
"""The tools lie beside the interpreter: `make test` installs them there."""

Object = dict[str, Any]


def tool(name: str) -> str:
    """Path of a tool that `make test` installs.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = BIN / name
    if not path.exists():
        raise FileNotFoundError(f"`{path}` is not there; run `make deploy-tools`")
    return str(path)


def kustomized(directory: Path) -> list[Object]:
    """The objects of a kustomization."""
    done = subprocess.run(
        [tool("kubectl"), "kustomize", str(directory)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@cache
def overlay(name: str) -> tuple[Object, ...]:
    """The objects of an overlay of ours."""
    return tuple(kustomized(MANIFESTS / "overlays" / name))


def of_kind(objects: tuple[Object, ...] | list[Object], kind: str) -> list[Object]:
    return [each for each in objects if each["kind"] == kind]


def named(objects: tuple[Object, ...] | list[Object], kind: str, name: str) -> Object:
    [found] = [each for each in of_kind(objects, kind) if each["metadata"]["name"] == name]
    return found


class Pod(NamedTuple):
    """A pod as some object describes it."""

    where: str
    """Kind, name, and for a Ray cluster the group."""
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        """All of them, those that only prepare included."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods(objects: tuple[Object, ...] | list[Object]) -> Iterator[Pod]:
    """Every pod that the objects describe."""
    for each in objects:
        where = f"{each['kind']} {each['metadata']['name']}"
        for group, template in _templates(each):
            labels = template["metadata"]["labels"]
            yield Pod(f"{where}{group}", labels, template["spec"])


def _templates(each: Object) -> Iterator[tuple[str, dict[str, Any]]]:
    if each["kind"] in ("Deployment", "StatefulSet"):
        yield "", each["spec"]["template"]
    elif each["kind"] == "CronJob":
        yield "", each["spec"]["jobTemplate"]["spec"]["template"]
    elif each["kind"] == "RayService":
        yield from _ray_templates(each["spec"]["rayClusterConfig"])


def _ray_templates(cluster: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield " head", _with_label(cluster["headGroupSpec"]["template"], "head")
    for group in cluster["workerGroupSpecs"]:
        yield f" {group['groupName']}", _with_label(group["template"], "worker")


def _with_label(template: dict[str, Any], node: str) -> dict[str, Any]:
    """KubeRay puts this label on by itself, and selectors of ours rest on it."""
    metadata = template["metadata"]
    labels = {**metadata["labels"], "ray.io/node-type": node}
    return {**template, "metadata": {**metadata, "labels": labels}}


def ray_services(objects: tuple[Object, ...] | list[Object]) -> list[Object]:
    return of_kind(objects, "RayService")


def serve_config(service: Object) -> dict[str, Any]:
    """What KubeRay hands to Ray Serve."""
    config: dict[str, Any] = yaml.safe_load(service["spec"]["serveConfigV2"])
    return config
