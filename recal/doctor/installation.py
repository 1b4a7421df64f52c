"""The Python, the packages and the generated code that this installation consists of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from recal.doctor.finding import Finding, fail, ok, warn

DISTRIBUTION = "recal-gate"

_NEEDED_BY = {
    "": "everything",
    "model": "`recal serve` and every calibration command",
    "registry": "the sqlite registry and `mlflow server`",
    "report": "the pictures of reports",
}
"""What each extra of the project file is for; extras that are not listed are not looked at."""
_MUST_HAVE = ("", "model")


def installed_version(name: str) -> str | None:
    """The version of an installed distribution, None when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def python_version(version: tuple[int, int], *, tested: Sequence[tuple[int, int]]) -> Finding:
    """Whether this Python is old enough to be tested and new enough to run."""
    shown = ".".join(map(str, version))
    if version < min(tested):
        oldest = ".".join(map(str, min(tested)))
        return fail(
            "python", f"Python {shown} is too old", f"make the venv with Python {oldest} or later"
        )
    if version > max(tested):
        newest = ".".join(map(str, max(tested)))
        return warn(
            "python",
            f"Python {shown} is newer than any that was tested",
            f"if a package has no wheel for it, make the venv with Python {newest}",
        )
    return ok("python", f"Python {shown}")


def packages(
    requirements: Iterable[str] | None, version_of: Callable[[str], str | None]
) -> list[Finding]:
    """Whether every package that the project asks for is there in a version that it allows.

    Args:
        requirements: as the installed distribution states them; None when it is not installed.
        version_of: the installed version of a distribution, None when there is none.
    """
    if requirements is None:
        says = f"`{DISTRIBUTION}` is not installed, so its requirements are not known"
        return [fail("packages", says, "run `make install`, or `pip install -e .` in the clone")]
    wanted = [(extra, r) for extra, r in map(_with_extra, requirements) if extra in _NEEDED_BY]
    findings = [f for extra, r in wanted for f in _unmet(r, extra, version_of(r.name))]
    n_met = len(wanted) - len(findings)
    return [ok("packages", f"{n_met} of {len(wanted)} packages are as required"), *findings]


def _with_extra(line: str) -> tuple[str, Requirement]:
    requirement = Requirement(line)
    found = re.search(r"extra == ['\"]([\w-]+)['\"]", str(requirement.marker or ""))
    return (found.group(1) if found else "", requirement)


def _unmet(requirement: Requirement, extra: str, version: str | None) -> list[Finding]:
    if version is not None and requirement.specifier.contains(version, prereleases=True):
        return []
    has = "is not installed" if version is None else f"is {version}"
    says = f"`{requirement.name}` {has}; {_NEEDED_BY[extra]} needs {requirement.specifier}"
    remedy = f"run `make install`, or `pip install '{requirement.name}{requirement.specifier}'`"
    level = fail if extra in _MUST_HAVE else warn
    return [level("packages", says, remedy)]


def one_fasttext(providers: Mapping[str, Sequence[str]]) -> Finding:
    """Whether exactly one distribution provides the module `fasttext`.

    Several overwrite one another without a word, and pip does not notice.

    Args:
        providers: distributions by the module that they provide.
    """
    names = sorted(set(providers.get("fasttext", ())))
    if not names:
        return fail(
            "fasttext", "no distribution provides `fasttext`", "run `pip install fasttext-predict`"
        )
    if len(names) > 1:
        surplus = " ".join(name for name in names if name != "fasttext-predict")
        return fail(
            "fasttext",
            f"{', '.join(names)} all install the module `fasttext` and overwrite one another",
            f"run `pip uninstall -y {surplus}`, then "
            "`pip install --force-reinstall --no-deps fasttext-predict`",
        )
    return ok("fasttext", f"`fasttext` comes from {names[0]}")


def torch_build(version: str | None, *, cuda: str | None, n_gpus: int) -> Finding:
    """Which build of torch this is, and whether it suits the machine."""
    if version is None:
        return fail(
            "torch",
            "`torch` is not installed",
            "run `make install` (CPU build), or `make install TORCH=cuda` on a machine with a GPU",
        )
    if cuda is None:
        return ok("torch", f"torch {version}, CPU build")
    if n_gpus == 0:
        return warn(
            "torch",
            f"torch {version} is a build for CUDA {cuda}, and there is no usable GPU",
            "run `pip install -c constraints/cpu.txt torch` for the CPU build, or mend the driver",
        )
    return ok("torch", f"torch {version} for CUDA {cuda}, {n_gpus} GPU(s)")


def generated_code(folder: Path, *, protobuf: str | None, grpcio: str | None) -> list[Finding]:
    """Whether the installed protobuf and grpcio are new enough for the generated code.

    Args:
        folder: where `recal_pb2.py` and `recal_pb2_grpc.py` lie.
        protobuf: installed version, None when there is none.
        grpcio: installed version, None when there is none.
    """
    sources = (
        ("protobuf", "recal_pb2.py", r"Protobuf Python Version: ([\d.]+)", protobuf),
        ("grpcio", "recal_pb2_grpc.py", r"GRPC_GENERATED_VERSION = '([\d.]+)'", grpcio),
    )
    return [_new_enough(name, folder / file, pattern, has) for name, file, pattern, has in sources]


def _new_enough(name: str, file: Path, pattern: str, has: str | None) -> Finding:
    found = re.search(pattern, file.read_text(encoding="utf-8")) if file.is_file() else None
    if found is None:
        return fail(name, f"no generated code in `{file.name}`", "run `make proto` in the clone")
    needs = found.group(1)
    if has is None or Version(has) < Version(needs):
        return fail(
            name,
            f"the generated code needs {name} {needs}, installed is {has or 'none'}",
            f"run `pip install '{name}>={needs}'`",
        )
    return ok(name, f"{name} {has} runs code generated for {needs}")


def ray_version(version: str | None) -> Finding:
    """Whether Ray is there; the embedded runtime does without."""
    if version is None:
        return warn(
            "ray",
            "`ray` is not installed, so only the embedded runtime can serve",
            "run `make install`, or serve with `recal serve --embedded`",
        )
    return ok("ray", f"Ray {version}")
