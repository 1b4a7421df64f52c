"""Imports go down: the contracts of `pyproject.toml` hold, and each of them can fail."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.contract.tree import PACKAGES, ROOT

BREAKS = {
    "services never import recal": ("services/errors.py", "import recal.languages"),
    "services are layered": ("services/backbone/blocks.py", "import services.pipeline.flow"),
    "the pipeline knows the other services by their protocols and the policy alone": (
        "services/pipeline/text.py",
        "import services.generation.service",
    ),
    "pure modules are pure": ("services/gate/policy.py", "import grpc"),
    "protobuf stops at services.wire": ("services/rpc/call.py", "import services.pb.recal_pb2"),
    "ray stops at services.on_ray": ("services/gate/service.py", "import ray"),
    "mlflow stops at its source and its registry": ("recal/fit.py", "import mlflow"),
    "an evaluation goes from methods to numbers to forms": (
        "recal/evaluation/plan.py",
        "import recal.evaluation.run",
    ),
    "recal is layered": ("recal/languages.py", "import recal.cli"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def copy_of_the_tree(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package,
            folder / package,
            ignore=lambda _, names: [n for n in names if n == "__pycache__" or n == "weights"],
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    folder = copy_of_the_tree(tmp_path_factory.mktemp("broken"))
    for path, line in BREAKS.values():
        with (folder / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    return lint(folder)


def test_every_contract_is_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_every_contract_is_broken_below() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    assert {contract["name"] for contract in contracts} == set(BREAKS)


@pytest.mark.parametrize("contract", BREAKS)
def test_a_broken_import_is_reported(
    broken: subprocess.CompletedProcess[str], contract: str
) -> None:
    assert broken.returncode != 0
    assert f"{contract} BROKEN" in broken.stdout


def test_a_new_folder_must_be_given_a_layer(tmp_path: Path) -> None:
    folder = copy_of_the_tree(tmp_path)
    (folder / "services" / "attic").mkdir()
    (folder / "services" / "attic" / "__init__.py").touch()
    done = lint(folder)
    assert done.returncode != 0
    assert "attic" in done.stdout
