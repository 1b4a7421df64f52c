"""What tests of several folders begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
