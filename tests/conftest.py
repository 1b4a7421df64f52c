"""What tests of several folders begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from services.readout.mlflow_environment import quieten_mlflow


@pytest.fixture(scope="module")
def quiet_mlflow() -> Iterator[None]:
    """MLflow as a server has it; the environment as it was, afterwards."""
    environ: dict[str, str] = {}
    quieten_mlflow(environ)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        yield


STARTING_RAY = ("tests/demo/", "tests/serve/")
"""Where all tests live that start Ray."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Which tests stay together where they run in several processes (`make test`)."""
    return RayTogether(config, log) if config.getvalue("dist") == "loadfile" else None


class RayTogether(LoadFileScheduling):
    """A file's tests, for its fixtures are made once; and all that start Ray.

    Two clusters on one machine answer each other's requests. Groups by mark, as xdist has them, are
    silently ignored with pytest 9.2 (pytest-dev/pytest-xdist#1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(STARTING_RAY):
            return "ray"
        return super()._split_scope(nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse a test that starts Ray where it may run beside another that does."""
    for item in items:
        if item.get_closest_marker("serve") and not item.nodeid.startswith(STARTING_RAY):
            raise pytest.UsageError(f"{item.nodeid} starts Ray; move it to {STARTING_RAY[1]}")
