"""Every object of every overlay fits the schema of its kind: Kubernetes' own, or its CRD's."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import kubernetes_validate
import pytest

from tests.deploy.rendered import OVERLAYS, ROOT, Object, overlay, ray_services

pytestmark = pytest.mark.deploy

KUBERNETES = "1.33"
"""The oldest that the manifests are for: `preStop.sleep` and gRPC probes are stable there."""
SCHEMA = json.loads((ROOT / "tests/deploy/rayservice.schema.json").read_text(encoding="utf-8"))
WRONG = (jsonschema.ValidationError, kubernetes_validate.ValidationError, AssertionError)


def validate_core(each: Object) -> None:
    kubernetes_validate.validate(each, KUBERNETES, strict=True)


def validate_ray_service(each: Object) -> None:
    """KubeRay's own fields by its CRD, pods and services by Kubernetes' schemas."""
    jsonschema.validate(each, SCHEMA)
    cluster = each["spec"]["rayClusterConfig"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        template = {"metadata": {"name": "x"}, "template": group["template"]}
        validate_core({"apiVersion": "v1", "kind": "PodTemplate", **template})
    validate_core({"apiVersion": "v1", "kind": "Service", **each["spec"]["serveService"]})


def validate_monitoring(each: Object) -> None:
    """By the operator's models: they leave out what they do not know; it must come back whole."""
    from cloudcoil.models.prometheus_operator import v1

    kept: Any = getattr(v1, each["kind"]).model_validate(each)
    assert kept.model_dump(mode="json", by_alias=True, exclude_unset=True) == each


def validate(each: Object) -> None:
    group = each["apiVersion"].partition("/")[0]
    if group == "ray.io":
        validate_ray_service(each)
    elif group == "monitoring.coreos.com":
        validate_monitoring(each)
    else:
        validate_core(each)


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_object_of_an_overlay_fits_its_schema(name: str) -> None:
    problems = []
    for each in overlay(name):
        try:
            validate(each)
        except WRONG as error:
            problems.append(f"{each['kind']} {each['metadata']['name']}: {str(error)[:300]}")
    assert problems == []


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", "spec/template/spec/containers/0/livenesProbe"),
        ("RayService", "spec/rayClusterConfig/headGroup"),
        ("RayService", "spec/rayClusterConfig/workerGroupSpecs/0/maxReplica"),
        ("RayService", "spec/rayClusterConfig/headGroupSpec/template/spec/volumes/0/emptydir"),
        ("RayService", "spec/serveService/spec/ports/0/appprotocol"),
        ("PodMonitor", "spec/podMetricsEndpoints/0/metricRelabeling"),
        ("PrometheusRule", "spec/groups/0/rules/0/fore"),
        ("NetworkPolicy", "spec/ingres"),
    ],
)
def test_a_misspelt_field_is_noticed(kind: str, path: str) -> None:
    each = copy.deepcopy(next(each for each in overlay("prod") if each["kind"] == kind))
    *way, last = path.split("/")
    node: Any = each
    for step in way:
        node = node[int(step) if step.isdigit() else step]
    node[last] = {}
    with pytest.raises(WRONG):
        validate(each)


def test_a_worker_group_without_a_template_is_noticed() -> None:
    [service] = copy.deepcopy(ray_services(overlay("prod")))
    del service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(service, SCHEMA)
