"""A Serve config as Ray reads it: `python -m tests.deploy.as_ray_reads CONFIG SETTINGS`, to JSON.

A process of its own, because Ray Serve must not be imported before the tests of `tests/serve` have
set its environment. Nothing is started: applications are built, and the config's options laid over
them.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ray.serve._private.application_state import override_deployment_info
from ray.serve._private.build_app import build_app
from ray.serve._private.deployment_info import DeploymentInfo
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import ServeApplicationSchema, ServeDeploySchema


def unknown_keys(config: dict[str, Any]) -> list[str]:
    """Keys that Ray's own schema passes over in silence."""
    schema = ServeDeploySchema(**config).model_dump(exclude_unset=True)
    scaling = {
        f"{application['name']}/autoscaling_config/{key}"
        for application in config["applications"]
        for deployment in application["deployments"]
        for key in set(deployment["autoscaling_config"]) - set(AutoscalingConfig.model_fields)
    }
    return sorted(scaling | (set(_paths(config)) - set(_paths(schema))))


def _paths(node: Any, at: str = "") -> list[str]:
    if isinstance(node, dict) and not at.endswith("/args"):
        below = [path for key, child in node.items() for path in _paths(child, f"{at}/{key}")]
        return [at, *below]
    if isinstance(node, list):
        return [path for i, child in enumerate(node) for path in _paths(child, f"{at}/{i}")]
    return [at]


def deployments(application: dict[str, Any], settings: str) -> dict[str, dict[str, float]]:
    """Bounds and resources of an application's deployments, by name."""
    module, _, function = application["import_path"].partition(":")
    bound = getattr(import_module(module), function)({**application["args"], "config": settings})
    built = build_app(bound, name=application["name"], default_runtime_env={})
    infos = {
        each.name: DeploymentInfo(
            deployment_config=each._deployment_config,
            replica_config=each._replica_config,
            start_time_ms=0,
            deployer_job_id="",
            version="1",
        )
        for each in built.deployments
    }
    over = override_deployment_info(infos, ServeApplicationSchema(**application))
    return {name: _row(info) for name, info in over.items()}


def _row(info: DeploymentInfo) -> dict[str, float]:
    scaling = info.deployment_config.autoscaling_config
    if scaling is None:
        raise ValueError("the deployment has no bounds of replicas")
    options = info.replica_config.ray_actor_options
    return {
        "minReplicas": scaling.min_replicas,
        "maxReplicas": scaling.max_replicas,
        "cpu": options["num_cpus"],
        "nvidia.com/gpu": options["num_gpus"],
    }


if __name__ == "__main__":
    read = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = {each["name"]: deployments(each, sys.argv[2]) for each in read["applications"]}
    print(json.dumps({"unknown": unknown_keys(read), "applications": found}))
