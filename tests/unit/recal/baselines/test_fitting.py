"""What baselines are fitted on: high- and mid-resource prompts, and never one that tests."""

from __future__ import annotations

import numpy as np
import pytest

from recal.baselines.fitting import N_ANCHORS, N_EXAMPLES, N_VALIDATION, Fitting, allot
from recal.baselines.suffixes import ENGLISH
from recal.collect import Activations
from recal.prompts import Prompt, Split
from recal.trials import Case
from services.backbone.load import Backbone
from services.generation.treatment import UNTOUCHED
from tests.unit.recal.treated import LiteralJudge, Says


def prompts(split: Split, language: str, n: int) -> list[Prompt]:
    return [
        Prompt(f"{split}/{harmful}/{i}", language, harmful, f"{language} {split} {i}", split)
        for harmful in (True, False)
        for i in range(n)
    ]


def corpus(n_train: int = 100, n_validation: int = 3) -> list[Prompt]:
    found = []
    for language in ("sw", "ar", "en", "de"):
        found += prompts("train", language, n_train)
        found += prompts("validation", language, n_validation)
        found += prompts("test", language, 5) + prompts("calibration", language, 5)
    return found


def test_anchors_are_training_prompts_and_validation_ones_try_strengths() -> None:
    found = allot(corpus(), ("en", "de"))
    assert {p.split for p in found.anchors} == {"train"}
    assert {p.split for p in found.validation} == {"validation"}
    assert len(found.anchors) == 3 * 2 * N_ANCHORS
    assert len(found.validation) == 3 * 2 * N_VALIDATION


def test_a_low_resource_language_is_fitted_on_nowhere() -> None:
    found = allot(corpus(), ("en", "de"))
    assert {p.language for p in (*found.anchors, *found.validation)} == {"en", "de", "ar"}


def test_languages_that_are_no_sources_choose_blocks() -> None:
    found = allot(corpus(), ("en",))
    assert (found.sources, found.development) == (("en",), ("ar", "de"))


def test_a_language_with_fewer_prompts_has_fewer_of_both_classes_and_no_other_language() -> None:
    found = allot([*corpus(20, 1), *prompts("train", "hi", 7)[:10]], ("en", "de"))
    counts = {la: sum(p.language == la for p in found.anchors) for la in ("en", "ar", "hi")}
    assert counts == {"en": 40, "ar": 40, "hi": 6}
    assert len(found.validation) == 3 * 2


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_source_language_without_prompts_of_a_class_is_named(split: Split) -> None:
    lacking = [p for p in corpus() if (p.language, p.split, p.harmful) != ("de", split, True)]
    with pytest.raises(ValueError, match=f"no harmful {split} prompts of de"):
        allot(lacking, ("en", "de"))


def fitting(backbone: Backbone, told: list[tuple[str, int, int]] | None = None) -> Fitting:
    allotted = allot(corpus(), ("en", "de"))
    residuals = np.zeros((len(allotted.anchors), 4, 32), dtype=np.float32)
    return Fitting(
        backbone=backbone,
        anchors=Activations(tuple(allotted.anchors), (0, 1, 2, 3), residuals),
        validation=allotted.validation,
        sources=allotted.sources,
        development=allotted.development,
        suffixes=ENGLISH,
        model=Says(lambda prompt, treatment: "refuse"),
        judge=LiteralJudge(),
        told=lambda *step: told.append(step) if told is not None else None,
    )


def test_a_condition_is_found_on_fewer_prompts_of_source_languages_alone(qwen2: Backbone) -> None:
    found = fitting(qwen2).examples.prompts
    assert {p.language for p in found} == {"en", "de"}
    assert len(found) == 2 * 2 * N_EXAMPLES


def test_the_texts_of_every_strength_are_counted_under_the_steps_name(qwen2: Backbone) -> None:
    told: list[tuple[str, int, int]] = []
    mine = fitting(qwen2, told)
    mine.run("alphasteer", 7).outcomes([Case(UNTOUCHED, mine.validation)])
    assert told[-1] == ("alphasteer: texts", 12, 7 * 12)
