"""Every library of a running server computes with the threads that the settings say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.readout.artefact import save_calibration, save_readout
from services.threads import set_threads, thread_environment, threads_in_use
from tests.unit.services.tiny import tiny_calibration, tiny_readout

SERVER = """
import asyncio, json, sys, urllib.request
from pathlib import Path
from services.embedded.runtime import EmbeddedRuntime
from tests.unit.services.embedded.real_line import ENGLISH, generate, settings_for, EdgeSettings
import grpc.aio, torch

async def main():
    settings = settings_for(
        Path(sys.argv[1]), Path(sys.argv[2]), threads=int(sys.argv[3]),
        edge=EdgeSettings(port=0, metrics_port=0),
    )
    runtime = EmbeddedRuntime(settings)
    await runtime.start()
    of_models = []
    look = lambda *_: of_models.append(torch.get_num_threads())
    torch.nn.modules.module.register_module_forward_pre_hook(look)
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        await generate(channel, ENGLISH)
    url = f"http://127.0.0.1:{runtime.server.metrics_port}/metrics"
    text = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
    await runtime.stop(grace_s=0.1)
    print(json.dumps({"metrics": text, "of_models": sorted(set(of_models))}))

asyncio.run(main())
"""


@pytest.mark.parametrize("n", [1, 3])
def test_a_running_server_reports_the_threads_that_it_was_told_to_use(
    checkpoints: dict[str, Path], qwen2, tmp_path: Path, n: int
) -> None:
    readout = save_readout(tiny_readout(qwen2), tmp_path / "readout")
    save_calibration(tiny_calibration(readout, "en"), tmp_path / "calibrations" / "en")
    environment = {k: v for k, v in os.environ.items() if k not in thread_environment(1)}
    ended = subprocess.run(
        [sys.executable, "-c", SERVER, checkpoints["qwen2"], tmp_path, str(n)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    lines = [line for line in found["metrics"].splitlines() if line.startswith("recal_threads{")]
    threads = {line.split('"')[1]: float(line.split()[-1]) for line in lines}
    assert threads == {
        **{pool: n for pool in ("torch", "blas", "openmp")},
        **{pool: 1 for pool in ("torch_interop", "tokenizers")},
    }
    assert found["of_models"] == [n]  # in the threads in which the models ran


def test_threads_that_are_set_are_those_that_the_libraries_say() -> None:
    before = threads_in_use()["torch"]
    try:
        set_threads(2)
        assert {threads_in_use()[pool] for pool in ("torch", "blas", "openmp")} == {2}
    finally:
        set_threads(before)
    assert threads_in_use()["torch"] == before


def test_a_process_without_torch_sets_and_shows_its_threads_too() -> None:
    script = (
        "import sys; from services.threads import *; from services.telemetry import *\n"
        "meter = PrometheusMeter(); use_threads(1, meter); assert 'torch' not in sys.modules\n"
        "value = meter.registry.get_sample_value\n"
        "assert value('recal_threads', {'pool': 'tokenizers'}) == 1\n"
        "assert value('recal_threads', {'pool': 'torch'}) is None\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
