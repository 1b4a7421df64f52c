"""The documented installation pulls in no CUDA package by accident."""

import re
import tomllib

import pytest

from tests.contract.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONSTRAINTS = (ROOT / "constraints" / "cpu.txt").read_text(encoding="utf-8")
CUDA = re.compile(
    r"^(?:torch(?:vision|audio)?|nvidia|cuda|triton|accelerate|xformers|vllm)\b", re.I
)


def requirements(text: str) -> list[str]:
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def test_the_constraints_pin_a_cpu_build_of_torch_exactly() -> None:
    pins = [line for line in requirements(CONSTRAINTS) if line.startswith("torch")]
    assert len(pins) == 1
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+(?:\+cpu)?", pins[0])


def test_the_constraints_name_no_cuda_package() -> None:
    names = [line for line in requirements(CONSTRAINTS) if not line.startswith("torch==")]
    assert [name for name in names if CUDA.match(name)] == []


def test_the_base_dependencies_contain_no_torch() -> None:
    assert [name for name in PROJECT["dependencies"] if CUDA.match(name)] == []


def test_torch_is_asked_for_by_one_extra_alone() -> None:
    extras = PROJECT["optional-dependencies"]
    assert [e for e, names in extras.items() if any(map(CUDA.match, names))] == ["model"]


def test_the_makefile_installs_with_the_constraints() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "constraints/cpu.txt" in makefile


@pytest.mark.parametrize("name", ["torch>=2", "nvidia-cublas-cu12", "accelerate", "triton==3"])
def test_a_cuda_package_is_noticed(name: str) -> None:
    assert CUDA.match(name)


@pytest.mark.parametrize("name", ["transformers>=5", "tokenizers"])
def test_other_packages_are_not(name: str) -> None:
    assert not CUDA.match(name)
