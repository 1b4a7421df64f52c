"""Our CAST and AdaSteer maths against released code (arXiv 2409.05907, 2504.09466)."""

from __future__ import annotations

import numpy as np
import pytest

from recal.maths.adasteer import RELEASED, scaled_positions
from recal.maths.cast import best_condition_point, contrastive_direction, similarities
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.golden import baseline_values as values
from tests.unit.recal.maths.golden.baseline_values import VARIANTS, BaselineGolden


@pytest.fixture(scope="module", params=["copy", "folder"])
def golden(request: pytest.FixtureRequest) -> BaselineGolden:
    if request.param == "copy":
        return values.from_copy()
    if not values.FULL.is_dir():
        pytest.skip("the full folder of golden values is not here; the copy was tested")
    return values.from_folder()


def cast_similarities(golden: BaselineGolden) -> TwoClass:
    direction = contrastive_direction(golden.harmful[:36], golden.harmless[:36])
    return TwoClass(
        similarities(golden.harmful, direction), similarities(golden.harmless, direction)
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_condition_directions_are_the_released_ones_with_their_sign(
    golden: BaselineGolden, variant: str
) -> None:
    ours = contrastive_direction(golden.harmful[:36], golden.harmless[:36], variant)
    cosine = float(ours @ golden.cast_directions[VARIANTS.index(variant)])
    assert cosine >= 0.999


def test_another_variant_gives_another_direction(golden: BaselineGolden) -> None:
    ours = contrastive_direction(golden.harmful[:36], golden.harmless[:36], "pca_center")
    assert float(ours @ golden.cast_directions[VARIANTS.index("pca_pairwise")]) < 0.999


def test_similarities_are_the_released_ones(golden: BaselineGolden) -> None:
    ours = cast_similarities(golden)
    np.testing.assert_allclose(ours.harmful, golden.cast_harmful, atol=1e-3)
    np.testing.assert_allclose(ours.harmless, golden.cast_harmless, atol=1e-3)


def test_the_condition_point_is_the_released_one(golden: BaselineGolden) -> None:
    point = best_condition_point({5: cast_similarities(golden)}, np.arange(0, 1.005, 0.01))
    assert point.threshold == pytest.approx(golden.cast_threshold[0], abs=1e-3)
    assert (point.comparator == "smaller") == golden.cast_is_smaller[0]
    assert (point.layer, point.f1) == (5, pytest.approx(golden.cast_f1[0], abs=1e-3))


def test_scaled_positions_are_the_released_ones(golden: BaselineGolden) -> None:
    ours = scaled_positions(golden.harmful, golden.harmful, golden.harmless)
    np.testing.assert_allclose(ours, golden.adasteer_scaled, atol=1e-3)
    swapped = scaled_positions(golden.harmful, golden.harmless, golden.harmful)
    assert np.abs(swapped - golden.adasteer_scaled).max() > 1


def test_the_laws_of_qwen_are_the_released_ones(golden: BaselineGolden) -> None:
    laws = RELEASED["qwen"]
    np.testing.assert_allclose(laws.alpha.of(golden.adasteer_scaled), golden.adasteer_alpha)
    np.testing.assert_allclose(laws.beta.of(golden.adasteer_scaled), golden.adasteer_beta)
    assert np.abs(RELEASED["gemma"].beta.of(golden.adasteer_scaled)).max() < 0.1
