"""`services/pb` is what `make proto` makes of `protos/`: nobody edits one without the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("recal_pb2.py", "recal_pb2.pyi", "recal_pb2_grpc.py")


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generated")
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [ROOT / "protos" / "generate.sh", out], env=environment, capture_output=True, text=True
    )
    if done.returncode and "grpcio-tools" in done.stderr:
        pytest.skip(
            "NOT CHECKED: grpcio-tools 1.71.2 could not be installed, so whether services/pb is "
            "what protos/ says is unknown here; run this test once with a package index"
        )
    assert done.returncode == 0, done.stderr
    return out / "services" / "pb"


@pytest.mark.parametrize("name", GENERATED)
def test_regeneration_changes_nothing(regenerated: Path, name: str) -> None:
    committed = (ROOT / "services" / "pb" / name).read_text(encoding="utf-8")
    assert (regenerated / name).read_text(encoding="utf-8") == committed, (
        f"services/pb/{name} is not what protos/ says; run `make proto` and commit the result"
    )


def test_nothing_else_lies_among_the_generated_code() -> None:
    found = {path.name for path in (ROOT / "services" / "pb").iterdir() if path.is_file()}
    assert found == {"__init__.py", *GENERATED}
