"""Our maths against released code, on its synthetic activations (benchmarks.science.golden)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.science.released import baseline_values, few_shot, values
from benchmarks.science.released.baseline_values import BaselineGolden
from benchmarks.science.released.baselines import (
    BASELINES,
    beta_error,
    cosine,
    positions_error,
)
from benchmarks.science.released.comparison import Comparison
from benchmarks.science.released.few_shot import FewShot
from benchmarks.science.released.gates import GATES, agreement, with_examples
from benchmarks.science.released.paper import PAPER, hook_error, projector_error
from benchmarks.science.released.values import Golden
from services.generation.intervention import Phase

ALL = {values: PAPER, few_shot: GATES, baseline_values: BASELINES}


@pytest.fixture(scope="module", params=["copy", "folder"])
def origin(request: pytest.FixtureRequest) -> str:
    if request.param == "folder" and not values.FULL.is_dir():
        pytest.skip("the full folder of golden values is not here; the copy was tested")
    return request.param


def read(module, origin: str):
    return module.from_copy() if origin == "copy" else module.from_folder()


@pytest.fixture(scope="module")
def golden(origin: str) -> Golden:
    return read(values, origin)


@pytest.fixture(scope="module")
def gates(origin: str) -> FewShot:
    return read(few_shot, origin)


@pytest.fixture(scope="module")
def baselines(origin: str) -> BaselineGolden:
    return read(baseline_values, origin)


def named(comparison: Comparison) -> str:
    return f"{comparison.key}: {comparison.what}"


@pytest.mark.parametrize("comparison", PAPER, ids=named)
def test_ours_is_what_the_paper_released(golden: Golden, comparison: Comparison[Golden]) -> None:
    assert comparison.allows(comparison.seen(golden))


@pytest.mark.parametrize("comparison", GATES, ids=named)
def test_the_papers_gate_is_what_it_released(
    gates: FewShot, comparison: Comparison[FewShot]
) -> None:
    assert comparison.allows(comparison.seen(gates))


@pytest.mark.parametrize("comparison", BASELINES, ids=named)
def test_baselines_are_what_they_released(
    baselines: BaselineGolden, comparison: Comparison[BaselineGolden]
) -> None:
    assert comparison.allows(comparison.seen(baselines))


def test_a_basis_of_lower_rank_does_not_span_the_released_subspace(golden: Golden) -> None:
    assert projector_error(golden, rank=9) > 1e-2


def test_the_released_hook_tells_the_phases_apart(golden: Golden) -> None:
    assert hook_error(golden, Phase.PREFILL, as_if=Phase.DECODE) > 0.1


def test_other_examples_or_another_threshold_give_other_decisions(gates: FewShot) -> None:
    right = next(with_examples(gates, 0, 0))
    other = next(with_examples(gates, 3, 0))
    assert agreement(gates, right) >= 0.97
    shifted = other.gate._replace(threshold=other.gate.threshold + 1.0)
    assert agreement(gates, right._replace(gate=shifted)) < 0.97


def test_another_variant_of_cast_gives_another_direction(baselines: BaselineGolden) -> None:
    assert cosine(baselines, "pca_center", of="pca_pairwise") < 0.999


def test_adasteer_depends_on_its_anchors_and_on_the_model(baselines: BaselineGolden) -> None:
    assert positions_error(baselines, swapped=True) > 1
    assert beta_error(baselines, model="gemma") > 0.1


@pytest.mark.parametrize("module", [values, few_shot, baseline_values])
def test_one_changed_number_of_each_kind_is_noticed(module) -> None:
    """What is held against nothing would hold whatever we computed."""
    unnoticed = set()
    whole = module.from_copy()
    for name, table in vars(whole).items():
        if table.dtype == bool:
            changed = ~table
        else:
            changed = table + 0.5 * (1 + np.arange(table.size).reshape(table.shape) % 3)
        other = replace(whole, **{name: changed.astype(table.dtype)})
        if all(c.allows(_seen(c, other)) for c in ALL[module]):
            unnoticed.add(name)
    assert unnoticed == set()


def _seen(comparison: Comparison, golden) -> float:
    try:
        return comparison.seen(golden)
    except (ValueError, IndexError):  # numbers that cannot be
        return float("nan")
