"""A thousand spoilt artefacts: each is refused in words, and none takes down what serves."""

from __future__ import annotations

import resource
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from services.errors import ArtefactRefused
from services.readout.artefact import load_calibration, load_readout
from services.readout.directory_source import DirectorySource
from services.readout.store import BundleStore
from services.telemetry import PrometheusMeter
from tests.unit.services.readout.factories import BACKBONE
from tests.unit.services.readout.mutations import (
    ARTEFACTS,
    KINDS,
    READOUT,
    Mutation,
    mutations,
    save_set,
)

N = 1000
SEED = 20261129
MOST_BYTES = 192 * 2**20
"""That reading one artefact may take: a few times the largest file that is read."""
MOST_WORDS = 600
"""Characters of a refusal, the path of the test's directory included."""

SOUND_BY_THEMSELVES = frozenset({"wrong_place"})
"""What only the set that they stand in tells."""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    save_set(tmp_path / "good", seed=0)
    save_set(tmp_path / "other", seed=1)
    return tmp_path / "good"


def spoilt(mutation: Mutation, good: Path) -> Path:
    """A copy of the good set with one of its artefacts spoilt; undone by the next one."""
    root = good.with_name("set")
    if not root.exists():
        shutil.copytree(good, root)
    mutation.apply(root, good.with_name("other"))
    return root


def mend(mutation: Mutation, good: Path) -> None:
    """Put the good artefact back where the spoilt one lies."""
    at = good.with_name("set") / mutation.artefact
    for path in (at, *at.parent.glob(f".{at.name}-*")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    shutil.copytree(good / mutation.artefact, at)


def load(artefact: str, root: Path) -> object:
    loader: Callable[..., object] = load_readout if artefact == READOUT else load_calibration
    return loader(root / artefact, backbone=BACKBONE)


@contextmanager
def at_most(n_bytes: int) -> Iterator[None]:
    """More memory than so much beyond the present is refused by the system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (now + n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def how_it_ends(mutation: Mutation, root: Path) -> str:
    try:
        with at_most(MOST_BYTES):
            load(mutation.artefact, root)
    except ArtefactRefused as refusal:
        said = str(refusal)
        return "refused" if len(said) <= MOST_WORDS and said.isprintable() else "badly told"
    except Exception as error:
        return type(error).__name__
    return "refused" if mutation.name in SOUND_BY_THEMSELVES else "loaded"


def test_a_thousand_spoilt_artefacts_are_refused_and_nothing_else_is_raised(good: Path) -> None:
    ended: Counter[str] = Counter()
    for mutation in mutations(N, SEED):
        outcome = how_it_ends(mutation, spoilt(mutation, good))
        ended[f"{mutation.name} of {mutation.artefact}: {outcome}"] += 1
        mend(mutation, good)
    assert sorted(how for how in ended if not how.endswith(": refused")) == []
    assert ended.total() == N


async def test_under_a_thousand_spoilt_artefacts_the_last_good_set_serves(good: Path) -> None:
    root = good.with_name("set")
    shutil.copytree(good, root)
    meter = PrometheusMeter()
    store = BundleStore(DirectorySource(root, backbone=BACKBONE), meter)
    assert await store.refresh() == "swapped"
    before = contents(store)
    for mutation in mutations(N, SEED + 1):
        spoilt(mutation, good)
        assert (await store.refresh(), mutation) == ("refused", mutation)
        assert contents(store) == before, mutation
        mend(mutation, good)
    counted = meter.registry.get_sample_value("recal_reloads_total", {"outcome": "refused"})
    assert counted == N
    assert await store.refresh() == "unchanged"
    assert not store.current.refused


def contents(store: BundleStore) -> tuple[object, ...]:
    bundle = store.current
    digests = {language: each.digest for language, each in bundle.calibrations.items()}
    return bundle.readout.digest, digests


def test_every_kind_of_mutation_is_among_the_thousand() -> None:
    assert {each.name for each in mutations(N, SEED)} == {kind.__name__ for kind in KINDS}
    assert {each.artefact for each in mutations(N, SEED)} == set(ARTEFACTS)


def test_the_set_that_is_spoilt_is_sound(good: Path) -> None:
    for artefact in ARTEFACTS:
        load(artefact, good)
