"""What the RayService tells Ray Serve is what this code is: imports, settings, sizes."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from services.on_ray.launch import SERVICER_FUNCTIONS, ray_environment
from services.settings import Settings, load_settings
from services.wire.methods import APPLICATIONS
from tests.deploy.rendered import OVERLAYS, Object, named, overlay, pods, ray_services, serve_config

pytestmark = pytest.mark.deploy

BY_OVERLAY = pytest.mark.parametrize("name", OVERLAYS)


def service_of(name: str) -> Object:
    [service] = ray_services(overlay(name))
    return service


def config_of(name: str) -> dict[str, Any]:
    return serve_config(service_of(name))


def settings_map(name: str) -> Object:
    """The ConfigMap that the Ray pods mount."""
    [head] = [pod for pod in pods([service_of(name)]) if pod.where.endswith("head")]
    [volume] = [volume for volume in head.spec["volumes"] if "configMap" in volume]
    return named(overlay(name), "ConfigMap", volume["configMap"]["name"])


@pytest.fixture
def settings_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings as the pods read them."""
    for variable in ("RECAL_CONFIG", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    [(file, text)] = settings_map(name)["data"].items()
    path = tmp_path / file
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def settings(settings_file: Path) -> Settings:
    return load_settings(settings_file)


def read_by_ray(config: dict[str, Any], settings_file: Path) -> dict[str, Any]:
    """What Ray makes of a Serve config, in a process of its own."""
    path = settings_file.with_name("serve.json")
    path.write_text(json.dumps(config), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.deploy.as_ray_reads", str(path), str(settings_file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def a_misspelt_one(config: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    [deployment] = changed["applications"][0]["deployments"]
    deployment["autoscaling_config"]["max_replica"] = 3
    deployment["num_replica"] = 3
    return changed


def capacity(name: str, which: str, resource: str) -> float:
    """What the worker groups hold of a resource, with `minReplicas` or `maxReplicas` pods each."""
    total = 0.0
    for group in service_of(name)["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        total += group[which] * float(limits.get(resource, 0))
    return total


@BY_OVERLAY
def test_ray_makes_the_four_applications_of_the_import_paths_within_the_workers_sizes(
    name: str, settings_file: Path
) -> None:
    found = read_by_ray(config_of(name), settings_file)
    assert found["unknown"] == []
    assert {app: [*rows] for app, rows in found["applications"].items()} == {
        application: [application] for application in APPLICATIONS.values()
    }
    rows = [row for rows in found["applications"].values() for row in rows.values()]
    for which in ("minReplicas", "maxReplicas"):
        for resource in ("cpu", "nvidia.com/gpu"):
            wanted = sum(row[which] * row[resource] for row in rows)
            assert wanted <= capacity(name, which, resource), (which, resource)
    on_gpus = {app for app, rows in found["applications"].items() if rows[app]["nvidia.com/gpu"]}
    assert on_gpus == (set() if name == "dev" else {"gate", "generation"})


@pytest.mark.parametrize("name", ["dev"])
def test_a_misspelt_key_of_the_serve_config_is_noticed(name: str, settings_file: Path) -> None:
    found = read_by_ray(a_misspelt_one(config_of(name)), settings_file)
    assert found["unknown"] == [
        "/applications/0/deployments/0/num_replica",
        "language-id/autoscaling_config/max_replica",
    ]


@BY_OVERLAY
def test_the_proxies_learn_every_service_of_the_contract(name: str) -> None:
    grpc = config_of(name)["grpc_options"]
    assert sorted(grpc["grpc_servicer_functions"]) == sorted(SERVICER_FUNCTIONS)
    for function in grpc["grpc_servicer_functions"]:
        module, _, attribute = function.rpartition(".")
        assert callable(getattr(import_module(module), attribute))


@BY_OVERLAY
def test_no_call_outlives_the_edges_longest_deadline(name: str) -> None:
    assert config_of(name)["grpc_options"]["request_timeout_s"] == Settings().edge.max_deadline_s


@BY_OVERLAY
def test_settings_lie_where_the_applications_look(name: str) -> None:
    [file] = settings_map(name)["data"]
    for application in config_of(name)["applications"]:
        path = Path(application["args"]["config"])
        assert path.name == file
        for pod in pods([service_of(name)]):
            mounts = {
                mount["mountPath"]: mount["name"] for mount in pod.containers[0]["volumeMounts"]
            }
            assert mounts[str(path.parent)] == "settings"


@BY_OVERLAY
def test_the_state_lies_on_a_volume_that_may_be_written(name: str, settings: Settings) -> None:
    for pod in pods([service_of(name)]):
        mounts = {m["mountPath"]: m for m in pod.containers[0]["volumeMounts"]}
        assert not mounts[str(settings.state_dir)].get("readOnly")


def test_the_weights_lie_on_a_volume_of_the_gpu_workers() -> None:
    backbone = yaml.safe_load(settings_map("prod")["data"]["settings.yaml"])["backbone"]
    [gpu] = [pod for pod in pods([service_of("prod")]) if pod.where.endswith("gpu")]
    mounts = [mount["mountPath"] for mount in gpu.containers[0]["volumeMounts"]]
    assert any(backbone["name_or_path"].startswith(f"{path}/") for path in mounts)


@BY_OVERLAY
def test_ray_runs_under_the_environment_that_a_local_cluster_has(
    name: str, settings: Settings
) -> None:
    wanted = ray_environment(settings)
    # On a laptop nobody waits for it; here it is what lets running calls end.
    del wanted["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"]
    for pod in pods([service_of(name)]):
        given = {each["name"]: each["value"] for each in pod.containers[0]["env"]}
        assert wanted.items() <= given.items(), pod.where


@BY_OVERLAY
def test_workers_live_longer_than_their_replicas_drain(name: str, settings: Settings) -> None:
    for pod in pods([service_of(name)]):
        if not pod.where.endswith("head"):
            assert settings.serve.drain_s < pod.spec["terminationGracePeriodSeconds"]


@BY_OVERLAY
def test_the_version_of_ray_is_one_that_we_install(name: str) -> None:
    needed = map(Requirement, requires("recal-gate") or ())
    [ray] = [requirement for requirement in needed if requirement.name == "ray"]
    assert service_of(name)["spec"]["rayClusterConfig"]["rayVersion"] in ray.specifier
