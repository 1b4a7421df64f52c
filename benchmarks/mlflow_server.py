"""A real `mlflow server` on a free port of the loopback interface, stopped whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

_PATIENCE_S = 90.0


class MlflowServer:
    """Started and stopped as often as a test likes; data and port stay the same."""

    def __init__(self, directory: Path, backend: str = "") -> None:
        self._directory = directory
        # A URI may hold a password, and command lines are everybody's to read.
        self._backend = backend or f"sqlite:///{directory / 'server.db'}"
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._directory.mkdir(exist_ok=True)
        with (self._directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                    "MLFLOW_BACKEND_STORE_URI": self._backend,
                },
                start_new_session=True,
            )
        self._wait_until_healthy(self._process)

    def stop(self) -> None:
        if self._process is None:
            return
        # The server is a group of processes: the command, and the workers that it started.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=10)
        self._process = None

    def __enter__(self) -> MlflowServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        files = self._directory / "files"
        return [
            *(sys.executable, "-m", "mlflow", "server", "--serve-artifacts"),
            *("--artifacts-destination", str(files)),
            *("--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"),
        ]

    def _wait_until_healthy(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + _PATIENCE_S
        while time.monotonic() < give_up and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        log = (self._directory / "server.log").read_text()[-2000:]
        self.stop()
        raise RuntimeError(f"the MLflow server did not become healthy: {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
