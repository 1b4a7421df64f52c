from __future__ import annotations

import numpy as np
import pytest

from recal.maths.estimators.translate_train import TRANSLATION_SD, translate_train
from recal.maths.evidence import Evidence
from recal.maths.smoothed import smoothed_threshold
from recal.maths.two_class import TwoClass
from tests.unit.recal.maths.estimators.evidences import SOURCE


def test_few_translations_give_the_midpoint() -> None:
    found = translate_train(Evidence(translated=TwoClass([2.0, 4.0], [0.0, 0.0])), source=SOURCE)
    assert found.threshold == 1.5


def test_many_give_where_their_smoothed_classes_cross() -> None:
    rng = np.random.default_rng(0)
    given = TwoClass(rng.exponential(2.0, size=80), rng.normal(-2, 0.5, size=80))
    found = translate_train(Evidence(translated=given), source=SOURCE)
    assert found.threshold == smoothed_threshold(given).threshold
    assert not any("equally spread" in sentence for sentence in found.assumptions)


def test_more_translations_never_make_it_surer_than_users_are_like_translators() -> None:
    rng = np.random.default_rng(1)
    given = TwoClass(rng.normal(2, 1, size=4000), rng.normal(-2, 1, size=4000))
    found = translate_train(Evidence(translated=given), source=SOURCE)
    assert found.posterior_sd == pytest.approx(TRANSLATION_SD, rel=0.02)
    assert any("as the translator does" in sentence for sentence in found.assumptions)
