"""A plain deployment class as a Serve application: Ray's options in one place."""

from __future__ import annotations

from typing import Any

from ray import serve
from ray.serve import Application

from services.settings import Settings
from services.threads import thread_environment
from services.wire.methods import APPLICATIONS


def application(
    service: str,
    deployment: type,
    load: Any,
    settings: Settings,
    *,
    replicas: int,
    gpus: float = 0.0,
) -> Application:
    """One deployment as an application of the same name.

    Args:
        service: full name of the gRPC service.
        deployment: a plain class.
        load: what the class's constructor takes; it travels to the replica.
        settings: how it runs.
        replicas: how many.
        gpus: of each replica.
    """
    section = settings.serve
    return serve.deployment(
        deployment,
        name=APPLICATIONS[service],
        num_replicas=replicas,
        max_ongoing_requests=section.max_ongoing_requests,
        max_queued_requests=section.max_queued_requests,
        graceful_shutdown_timeout_s=section.drain_s,
        ray_actor_options={
            "num_cpus": section.cpus_per_replica,
            "num_gpus": gpus,
            "runtime_env": {"env_vars": thread_environment(settings.threads)},
        },
    ).bind(load)
