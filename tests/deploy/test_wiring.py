"""The names that objects have for one another lead somewhere: ports, selectors, addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from recal.console.app import Reader, console
from recal.console.numbers import SinceStart
from services.drift.sources import Pages
from services.edge.health import LIVE
from services.settings import Settings, load_settings
from tests.deploy.rendered import (
    OVERLAYS,
    Pod,
    named,
    of_kind,
    overlay,
    pods,
    ray_services,
    serve_config,
)
from tests.deploy.test_commands import backbone_of
from tests.deploy.test_security import selects

pytestmark = pytest.mark.deploy

BY_OVERLAY = pytest.mark.parametrize("name", OVERLAYS)


def ports_of(pod: Pod) -> dict[str, int]:
    return {
        port["name"]: port["containerPort"]
        for container in pod.containers
        for port in container.get("ports", ())
    }


def services(name: str) -> dict[str, dict[str, Any]]:
    """Services by name, with those that KubeRay makes of a RayService."""
    found = {each["metadata"]["name"]: each["spec"] for each in of_kind(overlay(name), "Service")}
    for each in ray_services(overlay(name)):
        spec = {
            **each["spec"]["serveService"]["spec"],
            "selector": {"app.kubernetes.io/component": "ray"},
        }
        found[f"{each['metadata']['name']}-serve-svc"] = spec
    return found


@BY_OVERLAY
def test_a_service_leads_to_a_named_port_of_a_pod(name: str) -> None:
    for service, spec in services(name).items():
        chosen = [
            pod for pod in pods(overlay(name)) if spec["selector"].items() <= pod.labels.items()
        ]
        assert chosen, service
        for port in spec["ports"]:
            assert all(ports_of(pod)[port["targetPort"]] == port["port"] for pod in chosen)


@BY_OVERLAY
def test_ports_of_grpc_say_so_to_whatever_stands_in_front(name: str) -> None:
    for service, spec in services(name).items():
        for port in spec["ports"]:
            if "grpc" in port["name"]:
                assert port["appProtocol"] == "kubernetes.io/h2c", service


@BY_OVERLAY
def test_the_ports_of_serve_have_the_names_that_kuberay_looks_for(name: str) -> None:
    for service in ray_services(overlay(name)):
        config = serve_config(service)
        wanted = {
            "serve": config["http_options"]["port"],
            "serve-grpc": config["grpc_options"]["port"],
        }
        for pod in pods([service]):
            assert wanted.items() <= ports_of(pod).items()
        given = {p["name"]: p["port"] for p in service["spec"]["serveService"]["spec"]["ports"]}
        assert given == wanted


@BY_OVERLAY
def test_a_budget_is_for_pods_that_there_are_and_no_pod_has_two(name: str) -> None:
    budgets = of_kind(overlay(name), "PodDisruptionBudget")
    for pod in pods(overlay(name)):
        chosen = [each for each in budgets if selects(each["spec"]["selector"], pod.labels)]
        part = pod.labels["app.kubernetes.io/component"]
        assert len(chosen) == (1 if part in ("edge", "ray") else 0), pod.where


@BY_OVERLAY
def test_what_a_pod_mounts_is_there(name: str) -> None:
    objects = overlay(name)
    for pod in pods(objects):
        volumes = {volume["name"] for volume in pod.spec.get("volumes", ())}
        if pod.where.startswith("StatefulSet"):
            volumes.add("data")
        for container in pod.containers:
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes
        for volume in pod.spec.get("volumes", ()):
            if "configMap" in volume:
                named(objects, "ConfigMap", volume["configMap"]["name"])
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                named(objects, "PersistentVolumeClaim", claim)


@BY_OVERLAY
def test_a_monitor_scrapes_a_port_of_the_pods_that_it_selects(name: str) -> None:
    monitors = of_kind(overlay(name), "PodMonitor")
    assert len(monitors) == 3
    for monitor in monitors:
        chosen = [p for p in pods(overlay(name)) if selects(monitor["spec"]["selector"], p.labels)]
        assert chosen
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            assert all(endpoint["port"] in ports_of(pod) for pod in chosen)


def edge(name: str) -> Pod:
    [pod] = [pod for pod in pods(overlay(name)) if pod.where == "Deployment recal-edge"]
    return pod


@pytest.fixture
def edge_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """What the edge reads from the variables of its container."""
    [container] = edge(name).containers
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    monkeypatch.delenv("RECAL_CONFIG", raising=False)
    return load_settings()


@BY_OVERLAY
def test_the_edge_listens_where_its_ports_and_probes_are(
    name: str, edge_settings: Settings
) -> None:
    [container] = edge(name).containers
    section = edge_settings.edge
    assert section.host == "0.0.0.0"
    assert ports_of(edge(name)) == {"grpc": section.port, "metrics": section.metrics_port}
    assert container["readinessProbe"]["grpc"] == {"port": section.port}
    assert container["livenessProbe"]["grpc"] == {"port": section.port, "service": LIVE}


@BY_OVERLAY
def test_the_edge_drains_before_it_is_killed(name: str, edge_settings: Settings) -> None:
    pod = edge(name)
    waits = pod.containers[0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert waits + edge_settings.edge.drain_s < pod.spec["terminationGracePeriodSeconds"]


@BY_OVERLAY
def test_the_backend_of_the_edge_is_a_colour_that_is_deployed(
    name: str, edge_settings: Settings
) -> None:
    found = re.fullmatch(r"dns:///([a-z0-9-]+):(\d+)", edge_settings.backend)
    assert found
    spec = services(name)[found[1]]
    assert spec["clusterIP"] == "None"
    assert int(found[2]) in {port["port"] for port in spec["ports"]}


def registry_addresses(name: str) -> Iterator[str]:
    for each in of_kind(overlay(name), "ConfigMap"):
        found = re.search(r"tracking_uri: (\S+)", each["data"].get("settings.yaml", ""))
        if found:
            yield found[1]
    for pod in pods(overlay(name)):
        for container in pod.containers:
            for variable in container.get("env", ()):
                if variable["name"] == "MLFLOW_TRACKING_URI":
                    yield variable["value"]


@BY_OVERLAY
def test_everybody_asks_the_registry_that_is_deployed(name: str) -> None:
    addresses = set(registry_addresses(name))
    assert len(addresses) == 1
    url = urlsplit(addresses.pop())
    assert url.port in {port["port"] for port in services(name)[str(url.hostname)]["ports"]}


@BY_OVERLAY
def test_the_database_that_the_registry_uses_is_deployed(name: str) -> None:
    [pod] = [pod for pod in pods(overlay(name)) if pod.where == "Deployment recal-mlflow"]
    [uri] = [
        e["value"] for e in pod.containers[0]["env"] if e["name"] == "MLFLOW_BACKEND_STORE_URI"
    ]
    url = urlsplit(uri.replace("$(POSTGRES_PASSWORD)", "secret"))
    assert url.port in {port["port"] for port in services(name)[str(url.hostname)]["ports"]}
    [database] = [p for p in pods(overlay(name)) if p.where == "StatefulSet recal-postgres"]
    variables = {e["name"]: e.get("value") for e in database.containers[0]["env"]}
    assert (url.username, url.path) == (
        variables["POSTGRES_USER"],
        f"/{variables['POSTGRES_DB']}",
    )


@BY_OVERLAY
@pytest.mark.parametrize("part", ["recal-monitor", "recal-console"])
def test_what_watches_a_backbone_names_the_one_that_serves(name: str, part: str) -> None:
    [container] = named(overlay(name), "Deployment", part)["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each["value"] for each in container["env"]}
    assert told["RECAL_BACKBONE__NAME_OR_PATH"] == backbone_of(name)


@BY_OVERLAY
def test_a_probe_of_the_console_asks_for_a_page_that_it_has(name: str) -> None:
    spec = named(overlay(name), "Deployment", "recal-console")["spec"]["template"]["spec"]
    [container] = spec["containers"]
    asked = {container[each]["httpGet"]["path"] for each in ("readinessProbe", "livenessProbe")}
    pages = {
        route.path
        for route in console(
            Reader(SinceStart(Pages(("http://127.0.0.1:1/metrics",))), dict)
        ).routes
    }
    assert asked <= pages


@BY_OVERLAY
def test_no_policy_lets_anybody_reach_the_console(name: str) -> None:
    [pod] = [p for p in pods(overlay(name)) if p.labels["app.kubernetes.io/component"] == "console"]
    for policy in of_kind(overlay(name), "NetworkPolicy"):
        if selects(policy["spec"]["podSelector"], pod.labels):
            assert not policy["spec"].get("ingress")
