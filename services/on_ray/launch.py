"""A local Ray cluster with the applications of a mode, from start to shutdown.

Ray reads its environment when it is imported: nothing here imports it before that is set.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import redirect_stdout
from typing import Any

from services.edge.main import serve_edge
from services.on_ray.muted import Muted
from services.on_ray.undisturbed import undisturbed
from services.settings import Settings, SettingsError
from services.wire.methods import APPLICATIONS, FUSED, GATE, GENERATION, LANGUAGE_ID, RECAL

SERVICER_FUNCTIONS = tuple(
    f"services.pb.recal_pb2_grpc.add_{service.rpartition('.')[2]}Servicer_to_server"
    for service in (RECAL, LANGUAGE_ID, GATE, GENERATION, FUSED)
)
"""What Serve's gRPC proxy learns the services from."""

Applications = Callable[[Settings], Mapping[str, Any]]
"""Settings to Serve applications, by name."""


def ray_environment(settings: Settings) -> dict[str, str]:
    """Variables that Ray and its processes read."""
    variables = {"RAY_USAGE_STATS_ENABLED": "0"}
    if settings.serve.high_throughput:
        variables["RAY_SERVE_ENABLE_HA_PROXY"] = "1"
        variables["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "1"
        # Otherwise every application waits 30 s for HAProxy when it goes.
        variables["RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S"] = "1"
    return variables


def prepare(settings: Settings, environ: MutableMapping[str, str] = os.environ) -> None:
    """Set Ray's environment, where nobody has set it differently.

    Raises:
        SettingsError: Ray Serve was imported already, with another environment.
    """
    missing = {k: v for k, v in ray_environment(settings).items() if k not in environ}
    serving = {name for name in missing if name.startswith("RAY_SERVE_")}
    if serving and "ray.serve" in sys.modules:
        raise SettingsError(
            f"Ray Serve was imported before {', '.join(sorted(serving))} could be set; "
            "set them in the environment, or `serve.high_throughput` to false"
        )
    environ.update(missing)


def default_applications(settings: Settings) -> dict[str, Any]:
    """The applications of the mode that the settings name."""
    from services.on_ray import app

    builders = {LANGUAGE_ID: app.language_id_application, GATE: app.gate_application}
    if settings.mode == "split":
        builders[GENERATION] = app.generation_application
    builders[RECAL] = app.recal_application
    return {APPLICATIONS[service]: build(settings) for service, build in builders.items()}


def run(settings: Settings, *, applications: Applications = default_applications) -> None:
    """Start a cluster on this machine and wait until all applications run.

    Raises:
        SettingsError: Ray Serve was imported already, with another environment.
        RuntimeError: an application did not start; Serve's log says why.
    """
    prepare(settings)
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions, gRPCOptions

    section = settings.serve
    ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    serve.start(
        proxy_location="HeadOnly",
        http_options=HTTPOptions(host=section.host, port=section.http_port),
        grpc_options=gRPCOptions(
            port=section.grpc_port,
            grpc_servicer_functions=list(SERVICER_FUNCTIONS),
            request_timeout_s=settings.edge.max_deadline_s,
        ),
    )
    serve.run_many(
        [
            serve.RunTarget(application, name=name, route_prefix=f"/{name}")
            for name, application in applications(settings).items()
        ]
    )


def shutdown() -> None:
    """End the applications and the cluster, where there is one.

    A second SIGTERM does not break it off: the proxies that Serve started would go on listening.
    """
    import ray
    from ray import serve

    if not ray.is_initialized():
        return  # serve.shutdown() would start a cluster to end it
    # Serve's controller ends itself while it is asked to, which Ray 2.60 prints as a failure.
    quiet = redirect_stdout(Muted(sys.stdout, "ServeController.graceful_shutdown failed"))
    with undisturbed(), quiet:
        serve.shutdown()
        ray.shutdown()


def run_on_ray(settings: Settings) -> None:
    """Run the cluster and the edge in front of it until the process is told to stop."""
    run(settings)
    try:
        asyncio.run(serve_edge(settings))
    finally:
        shutdown()
