"""What the pods may do, and who may speak with whom: little, and only what is needed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.rendered import OVERLAYS, Object, Pod, named, of_kind, overlay, pods, ray_services

pytestmark = pytest.mark.deploy

BY_OVERLAY = pytest.mark.parametrize("name", OVERLAYS)
ALLOWED_VOLUMES = {"emptyDir", "configMap", "persistentVolumeClaim"}


def breaches(pod: Pod) -> Iterator[str]:
    """What Kubernetes' profile `restricted` refuses, and what we ask beyond it."""
    of_pod = pod.spec.get("securityContext", {})
    if not of_pod.get("runAsNonRoot") or of_pod.get("runAsUser", 0) == 0:
        yield "runs as root"
    if of_pod.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.spec.get(key):
            yield f"has {key}"
    for volume in pod.spec.get("volumes", ()):
        if not set(volume) - {"name"} <= ALLOWED_VOLUMES:
            yield f"has the volume {volume}"
    for container in pod.containers:
        yield from (f"{container['name']} {what}" for what in container_breaches(container))


def container_breaches(container: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "may gain privileges"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "may write to its image"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", ())):
        yield "requests no cpu or memory"
    if "memory" not in resources.get("limits", ()):
        yield "has no limit of memory"
    if container["image"].endswith(":latest") or ":" not in container["image"]:
        yield f"runs {container['image']}, which may be another tomorrow"


@BY_OVERLAY
def test_no_pod_may_more_than_the_restricted_profile_allows(name: str) -> None:
    found = list(pods(overlay(name)))
    assert len(found) >= 5
    assert [f"{pod.where} {what}" for pod in found for what in breaches(pod)] == []


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("securityContext", "runAsUser"), 0, "root"),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}, "seccomp"),
        (("containers", 0, "securityContext", "readOnlyRootFilesystem"), False, "write"),
        (("containers", 0, "securityContext", "capabilities"), {"drop": []}, "capabilities"),
        (("containers", 0, "resources"), {}, "memory"),
        (("containers", 0, "image"), "recal", "tomorrow"),
        (("hostNetwork",), True, "hostNetwork"),
        (("volumes", 0), {"name": "x", "hostPath": {"path": "/"}}, "hostPath"),
    ],
)
def test_a_pod_that_may_more_is_noticed(path: tuple[Any, ...], value: Any, words: str) -> None:
    [pod] = [each for each in pods(overlay("dev")) if each.where == "Deployment recal-edge"]
    spec = node = copy.deepcopy(pod.spec)
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    assert words in " ".join(breaches(pod._replace(spec=spec)))


@BY_OVERLAY
def test_the_namespace_enforces_the_restricted_profile(name: str) -> None:
    [namespace] = of_kind(overlay(name), "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = {each["metadata"].get("namespace") for each in overlay(name)} - {None}
    assert others == {namespace["metadata"]["name"]}


@BY_OVERLAY
def test_only_the_ray_head_has_a_token_of_the_kubernetes_api(name: str) -> None:
    with_token = [pod for pod in pods(overlay(name)) if token(pod, name)]
    assert [pod.where.split()[-1] for pod in with_token] == ["head"]


def token(pod: Pod, name: str) -> bool:
    account = named(overlay(name), "ServiceAccount", pod.spec["serviceAccountName"])
    default: bool = account.get("automountServiceAccountToken", True)
    return bool(pod.spec.get("automountServiceAccountToken", default))


@BY_OVERLAY
def test_no_role_is_given_by_us(name: str) -> None:
    assert [each["kind"] for each in overlay(name) if "Role" in each["kind"]] == []


@BY_OVERLAY
def test_secrets_are_referred_to_and_never_written_down(name: str) -> None:
    assert of_kind(overlay(name), "Secret") == []
    for pod in pods(overlay(name)):
        for container in pod.containers:
            for variable in container.get("env", ()):
                if "PASSWORD" in variable["name"] or "TOKEN" in variable["name"]:
                    assert set(variable["valueFrom"]) == {"secretKeyRef"}
            assert not any("PASSWORD" in word for word in container.get("args", ()))


@BY_OVERLAY
def test_ray_asks_for_a_token(name: str) -> None:
    for service in ray_services(overlay(name)):
        assert service["spec"]["rayClusterConfig"]["authOptions"] == {"mode": "token"}


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", ())
    )


def policies(name: str) -> list[Object]:
    return of_kind(overlay(name), "NetworkPolicy")


@BY_OVERLAY
def test_what_no_policy_allows_is_denied(name: str) -> None:
    policy = named(overlay(name), "NetworkPolicy", "recal-default-deny")["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@BY_OVERLAY
def test_every_policy_is_for_a_pod_that_there_is(name: str) -> None:
    found = list(pods(overlay(name)))
    for policy in policies(name):
        chosen = policy["spec"]["podSelector"]
        assert any(selects(chosen, pod.labels) for pod in found), policy["metadata"]["name"]


RAYS_OWN = {52365}
"""Ports that Ray opens without being named among the container's ports: the node's agent."""


@BY_OVERLAY
def test_a_port_that_is_let_in_is_a_port_that_listens(name: str) -> None:
    for policy in policies(name):
        chosen = [
            p for p in pods(overlay(name)) if selects(policy["spec"]["podSelector"], p.labels)
        ]
        open_ports = RAYS_OWN | {
            port["containerPort"]
            for pod in chosen
            for container in pod.containers
            for port in container.get("ports", ())
        }
        for rule in policy["spec"].get("ingress", ()):
            assert {port["port"] for port in rule.get("ports", ())} <= open_ports


def may_call(name: str, source: Pod, target: Pod, port: int) -> bool:
    """Both walls have a door: the source may leave by it, and the target lets it in."""
    leaves = any(
        selects(policy["spec"]["podSelector"], source.labels) and _lets(rule, "to", target, port)
        for policy in policies(name)
        for rule in policy["spec"].get("egress", ())
    )
    enters = any(
        selects(policy["spec"]["podSelector"], target.labels) and _lets(rule, "from", source, port)
        for policy in policies(name)
        for rule in policy["spec"].get("ingress", ())
    )
    return leaves and enters


def _lets(rule: dict[str, Any], side: str, pod: Pod, port: int) -> bool:
    peers = [peer for peer in rule.get(side, ()) if "namespaceSelector" not in peer]
    ports = [each["port"] for each in rule.get("ports", ())]
    near = any(selects(peer["podSelector"], pod.labels) for peer in peers)
    return near and (not ports or port in ports)


NEEDED = {
    ("edge", "ray", 9000),
    ("ray", "mlflow", 5000),
    ("recalibrate", "mlflow", 5000),
    ("monitor", "mlflow", 5000),
    ("console", "mlflow", 5000),
    ("mlflow", "postgres", 5432),
}


@BY_OVERLAY
def test_pods_reach_what_they_need_and_nothing_else(name: str) -> None:
    by_part = {pod.labels["app.kubernetes.io/component"]: pod for pod in pods(overlay(name))}
    ports = {9000, 8000, 8265, 10001, 50051, 9464, 9465, 8089, 5000, 5432, 8080}
    reached = {
        (a, b, port)
        for a, source in by_part.items()
        for b, target in by_part.items()
        for port in ports
        if (a, b) != ("ray", "ray") and may_call(name, source, target, port)
    }
    assert reached == NEEDED
    assert may_call(name, by_part["ray"], by_part["ray"], 6379)
