"""MLflow as the manifest starts it answers those who call it by its name, and nobody else."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.rendered import BIN, named, overlay

pytestmark = pytest.mark.deploy

SEARCH = "/api/2.0/mlflow/registered-models/search"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def as_here(words: list[str], port: int, folder: Path) -> list[str]:
    """The container's command, with what is only there in the cluster replaced."""
    changed = {
        "mlflow": str(BIN / "mlflow"),
        "--host=0.0.0.0": "--host=127.0.0.1",
        "--port=5000": f"--port={port}",
        "--workers=2": "--workers=1",
        "--artifacts-destination=/artefacts": f"--artifacts-destination={folder}",
    }
    assert set(changed) <= set(words)
    return [changed.get(word, word) for word in words]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("mlflow")
    deployment = named(overlay("dev"), "Deployment", "recal-mlflow")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    backend = {"MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder}/x.db", "HOME": str(folder)}
    port = free_port()
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            as_here(container["args"], port, folder),
            env={**os.environ, **given, **backend},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    wait_for(port, server, folder / "log")
    yield port
    os.killpg(server.pid, 15)
    server.wait(30)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if status(port, "/health", "10.1.2.3:5000") == 200:
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text(encoding="utf-8"))


def status(port: int, path: str, host: str) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.parametrize(
    ("path", "host", "expected"),
    [
        ("/health", "10.1.2.3:5000", 200),  # a probe calls a pod by its address
        (SEARCH, "recal-mlflow:5000", 200),
        (SEARCH, "127.0.0.1:5000", 200),
        (SEARCH, "rebound.example", 403),
    ],
)
def test_it_answers_by_its_own_names_alone(path: str, host: str, expected: int, port: int) -> None:
    assert status(port, path, host) == expected
