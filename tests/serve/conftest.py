from __future__ import annotations

import socket
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc.aio
import pytest

from services.edge.main import Edge
from services.on_ray import launch
from services.settings import EdgeSettings, ServeSettings, Settings


@dataclass(frozen=True)
class Cluster:
    settings: Settings
    seen: Path
    """What generation saw, a line each."""
    audit: Path
    """Where the front door keeps its verdicts."""
    logs: Path
    """Ray's log directory of this session."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# Not for the whole session: two clusters on one machine answer each other's requests.
@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real cluster with the four applications over scripted services, as `launch` starts it."""
    serve = ServeSettings(grpc_port=free_port(), http_port=free_port(), drain_s=1.0)
    edge = EdgeSettings(port=0, metrics_port=None, probe_interval_s=0.5)
    settings = Settings(serve=serve, edge=edge)
    seen = tmp_path_factory.mktemp("serve") / "seen"
    seen.touch()
    audit = seen.with_name("audit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray's own, of Ray's own modules
        launch.prepare(settings)
        from tests.serve.scripted import applications

        launch.run(settings, applications=partial(applications, seen, audit))
        import ray

    yield Cluster(settings, seen, audit, Path(ray._private.worker._global_node.get_logs_dir_path()))
    launch.shutdown()


@pytest.fixture
async def edge(cluster: Cluster) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to an edge in front of the cluster."""
    front = Edge(cluster.settings)
    await front.start()
    async with grpc.aio.insecure_channel(front.server.address) as channel:
        yield channel
    await front.stop()


@pytest.fixture
async def channel(cluster: Cluster) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to Serve's own gRPC port."""
    async with grpc.aio.insecure_channel(cluster.settings.backend) as channel:
        yield channel
