"""A change of colour, as docs/kubernetes.md says, leaves a whole deployment at each step."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.rendered import MANIFESTS, Object, kustomized, named, of_kind, pods, ray_services
from tests.deploy.test_schemas import validate
from tests.deploy.test_security import selects

pytestmark = pytest.mark.deploy

Edit = Callable[[str], str]


def replaced(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text, old
        return text.replace(old, new)

    return edit


BEGIN_GREEN = replaced("  - blue\n", "  - blue\n  - green\n")
TURN_TO_GREEN = replaced("recal-blue-serve-svc", "recal-green-serve-svc")
END_BLUE = replaced("  - blue\n", "")
STEPS = (BEGIN_GREEN, TURN_TO_GREEN, END_BLUE)


def after(n_steps: int, folder: Path) -> list[Object]:
    """The production overlay after so many steps."""
    copy = folder / "k8s"
    shutil.copytree(MANIFESTS, copy, ignore=shutil.ignore_patterns("__pycache__"))
    path = copy / "overlays" / "prod" / "kustomization.yaml"
    text = path.read_text(encoding="utf-8")
    for step in STEPS[:n_steps]:
        text = step(text)
    path.write_text(text, encoding="utf-8")
    return kustomized(path.parent)


def backend(objects: list[Object]) -> str:
    [container] = named(objects, "Deployment", "recal-edge")["spec"]["template"]["spec"][
        "containers"
    ]
    [value] = [e["value"] for e in container["env"] if e["name"] == "RECAL_EDGE__BACKEND"]
    return str(value)


@pytest.mark.parametrize(
    ("n_steps", "colours", "serves"),
    [
        (0, "blue", "blue"),
        (1, "blue green", "blue"),
        (2, "blue green", "green"),
        (3, "green", "green"),
    ],
)
def test_the_colour_that_callers_reach_is_there_at_every_step(
    n_steps: int, colours: str, serves: str, tmp_path: Path
) -> None:
    objects = after(n_steps, tmp_path)
    names = [service["metadata"]["name"] for service in ray_services(objects)]
    assert sorted(names) == [f"recal-{colour}" for colour in colours.split()]
    assert backend(objects) == f"dns:///recal-{serves}-serve-svc:9000"
    for each in objects:
        if each["apiVersion"].partition("/")[0] != "monitoring.coreos.com":  # they do not change
            validate(each)


def test_two_colours_share_no_budget_no_account_and_no_settings(tmp_path: Path) -> None:
    objects = after(1, tmp_path)
    budgets = of_kind(objects, "PodDisruptionBudget")
    mounted: dict[str, set[str]] = {}
    for pod in pods(ray_services(objects)):
        assert len([b for b in budgets if selects(b["spec"]["selector"], pod.labels)]) == 1
        colour = pod.labels["recal.dev/colour"]
        maps = [v["configMap"]["name"] for v in pod.spec["volumes"] if "configMap" in v]
        mounted.setdefault(colour, set()).update([pod.spec["serviceAccountName"], *maps])
    assert set(mounted) == {"blue", "green"}
    assert not mounted["blue"] & mounted["green"]


@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_a_step_changes_nothing_of_a_ray_cluster_that_runs(n_steps: int, tmp_path: Path) -> None:
    before = after(n_steps - 1, tmp_path / "before")
    now = after(n_steps, tmp_path / "now")
    for service in ray_services(now):
        name = service["metadata"]["name"]
        ran = [each for each in ray_services(before) if each["metadata"]["name"] == name]
        assert ran in ([], [service])


def test_kuberay_changes_no_cluster_by_itself(tmp_path: Path) -> None:
    for service in ray_services(after(1, tmp_path)):
        assert service["spec"]["upgradeStrategy"] == {"type": "None"}


def test_an_edge_opens_before_another_closes(tmp_path: Path) -> None:
    edge = named(after(0, tmp_path), "Deployment", "recal-edge")["spec"]
    assert edge["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert edge["replicas"] >= 2
