from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from services.on_ray.launch import SERVICER_FUNCTIONS, prepare, ray_environment
from services.settings import ServeSettings, Settings

SLOW = Settings(serve=ServeSettings(high_throughput=False))


def test_no_usage_is_reported_in_either_mode():
    for settings in (Settings(), SLOW):
        assert ray_environment(settings)["RAY_USAGE_STATS_ENABLED"] == "0"


def test_high_throughput_sets_both_switches_and_only_then():
    fast = ray_environment(Settings())
    assert fast["RAY_SERVE_ENABLE_HA_PROXY"] == fast["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
    assert not any(name.startswith("RAY_SERVE") for name in ray_environment(SLOW))


def test_what_an_operator_set_is_kept():
    environ = {"RAY_SERVE_ENABLE_HA_PROXY": "0"}
    prepare(SLOW, environ)
    assert environ["RAY_SERVE_ENABLE_HA_PROXY"] == "0"


@pytest.mark.parametrize("path", SERVICER_FUNCTIONS)
def test_every_servicer_function_imports(path):
    module, _, name = path.rpartition(".")
    assert callable(getattr(import_module(module), name))


def test_launch_imports_no_ray_so_that_it_can_set_rays_environment_first():
    script = "import services.on_ray.launch, sys; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
