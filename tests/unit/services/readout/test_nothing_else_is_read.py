"""Loading an artefact reads its own JSON and safetensors, and runs nothing that it holds."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.readout.artefact import load_calibration, load_readout, save_calibration
from services.readout.manifest import SIGNATURE
from services.readout.signature import (
    PRIVATE_KEY,
    PUBLIC_KEY,
    new_keys,
    read_private_key,
    sign,
    trust_of,
)
from tests.contract.tree import ROOT
from tests.unit.services.readout.factories import (
    a_calibration,
    an_own_readout,
    saved_readout,
)

RUNS = ("pickle.", "marshal.", "exec", "compile", "subprocess.", "os.system", "os.exec", "socket.")
"""Beginnings of the interpreter's own audit events that no load may raise."""
UNPICKLES = frozenset({"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"})
LOADS = frozenset({("torch", "load"), ("np", "load"), ("numpy", "load"), ("yaml", "load")})

_seen: list[tuple[str, str]] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    # A hook stays for good, so it listens only while somebody looks.
    if _seen is not None:
        _seen.append((event, str(arguments[0]) if arguments else ""))


sys.addaudithook(_hook)


@contextmanager
def events() -> Iterator[list[tuple[str, str]]]:
    """What the interpreter does meanwhile: each event with its first argument."""
    global _seen
    _seen = heard = []
    try:
        yield heard
    finally:
        _seen = None


def test_a_load_opens_the_named_files_alone_and_runs_nothing(tmp_path: Path) -> None:
    new_keys(tmp_path / "keys")
    key = read_private_key(tmp_path / "keys" / PRIVATE_KEY)
    trust = trust_of([tmp_path / "keys" / PUBLIC_KEY])
    readout = saved_readout(tmp_path / "readout")
    calibration = replace(a_calibration(), own=an_own_readout())
    saved = save_calibration(calibration, tmp_path / "sw")
    for at, digest in ((tmp_path / "readout", readout.digest), (tmp_path / "sw", saved.digest)):
        sign(at, digest, key)
    load_readout(tmp_path / "readout", trust=trust)  # what is imported late is imported now
    with events() as heard:
        load_readout(tmp_path / "readout", trust=trust)
        load_calibration(tmp_path / "sw", trust=trust)
    # a number is a handle that was opened by name before
    named = [what for event, what in heard if event == "open" and not what.isdigit()]
    opened = [Path(what).relative_to(tmp_path) for what in named]
    assert sorted(map(str, opened)) == [
        "readout/manifest.json",
        "readout/readout.json",
        "readout/readout.safetensors",
        f"readout/{SIGNATURE}",
        "sw/calibration.json",
        "sw/calibration.safetensors",
        "sw/manifest.json",
        f"sw/{SIGNATURE}",
    ]
    assert [each for each in heard if each[0].startswith(RUNS)] == []


def unpickling(source: str) -> Iterator[str]:
    """Where a module imports or calls what executes the data that it reads."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").partition(".")[0]}
        else:
            names = set()
        yield from (f"import {name}" for name in sorted(names & UNPICKLES))
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in LOADS:
                yield f"{module}.{name}"
            case ast.Call(func=ast.Name(id=("eval" | "exec") as name)):
                yield name


@pytest.mark.parametrize("package", ["services", "recal"])
def test_no_module_of_ours_reads_what_executes(package: str) -> None:
    found = {
        str(path.relative_to(ROOT)): list(unpickling(path.read_text(encoding="utf-8")))
        for path in (ROOT / package).rglob("*.py")
    }
    assert {path: how for path, how in found.items() if how} == {}


@pytest.mark.parametrize(
    "source", ["import pickle", "from joblib import load", "torch.load(p)", "eval(x)"]
)
def test_what_executes_is_noticed(source: str) -> None:
    assert list(unpickling(source))
