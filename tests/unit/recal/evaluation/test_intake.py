"""What can be evaluated is known before a model is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from recal.evaluation.intake import Wanted, choose
from recal.prompts import Prompt, Split, save_jsonl
from services.readout.artefact import save_calibration
from tests.unit.services.readout.factories import a_calibration


def prompts(split: Split, language: str = "sw", n: int = 4) -> list[Prompt]:
    return [
        Prompt(
            f"{split}/{harmful}/{i}", language, harmful, f"{language} {split} {harmful} {i}", split
        )
        for harmful in (True, False)
        for i in range(n)
    ]


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    file = tmp_path / "prompts.jsonl"
    save_jsonl(
        [
            *(p for la in ("yo", "sw", "ha") for p in prompts("test", la)),
            *(p for la in ("yo", "sw") for p in prompts("calibration", la)),
        ],
        file,
    )
    return Wanted(
        methods=("untouched", "oracle"),
        languages=(),
        prompts=str(file),
        split="test",
        per_class=2,
        ks=(1,),
        readout=tmp_path / "readout",
        calibrations=tmp_path / "calibrations",
    )


def save(wanted: Wanted, language: str, hashes: tuple[str, ...] = ("e" * 64,)) -> None:
    calibration = replace(a_calibration(language), example_hashes=hashes)
    save_calibration(calibration, wanted.calibrations / language)


def test_every_language_with_prompts_is_evaluated_in_the_papers_order(wanted: Wanted) -> None:
    found = choose(wanted)
    assert found.languages == ("sw", "yo", "ha")
    assert len(found.test) == 3 * 2 * 2
    assert found.examples == []


def test_a_few_shot_method_is_given_the_calibration_split(wanted: Wanted) -> None:
    found = choose(replace(wanted, methods=("recal",), languages=("sw",)))
    assert {p.split for p in found.examples} == {"calibration"}
    assert len(found.examples) == 8


def test_a_language_without_calibration_prompts_cannot_be_recalibrated(wanted: Wanted) -> None:
    with pytest.raises(ValueError, match="`ha` has 0 harmful and 0 harmless calibration prompts"):
        choose(replace(wanted, methods=("recal",)))


def test_no_examples_for_a_method_that_needs_them_are_refused(wanted: Wanted) -> None:
    with pytest.raises(ValueError, match="`k` is 0, but `paper` needs examples"):
        choose(replace(wanted, methods=("oracle", "paper"), ks=(4, 0)))
    assert choose(replace(wanted, ks=(0,))).languages


def test_saved_calibrations_decide_which_languages_are_evaluated(wanted: Wanted) -> None:
    save(wanted, "yo")
    found = choose(replace(wanted, methods=("saved",)))
    assert found.languages == ("yo",)
    assert set(found.calibrations) == {"yo"}
    assert choose(wanted).calibrations == {}


def test_a_language_without_a_saved_calibration_is_refused(wanted: Wanted) -> None:
    asked = replace(wanted, methods=("saved",))
    with pytest.raises(ValueError, match="no saved calibration in"):
        choose(asked)
    save(wanted, "yo")
    with pytest.raises(ValueError, match="no saved calibration of sw"):
        choose(replace(asked, languages=("sw", "yo")))


def test_prompts_that_set_a_saved_threshold_are_refused(wanted: Wanted) -> None:
    save(wanted, "sw", tuple(sorted(p.digest for p in prompts("test"))))
    with pytest.raises(ValueError, match="set its threshold and cannot test it"):
        choose(replace(wanted, methods=("saved",)))


def test_a_source_in_two_splits_is_refused(wanted: Wanted, tmp_path: Path) -> None:
    leaking = [*prompts("test"), replace(prompts("calibration", "yo")[0], id="test/True/0")]
    save_jsonl(leaking, tmp_path / "leak.jsonl")
    with pytest.raises(ValueError, match=r"in two splits, the first is `test/True/0`"):
        choose(replace(wanted, prompts=str(tmp_path / "leak.jsonl"), languages=("sw",)))


def test_an_unknown_language_is_refused(wanted: Wanted) -> None:
    with pytest.raises(ValueError, match="no prompts of `am`"):
        choose(replace(wanted, languages=("am",)))


def test_more_prompts_than_there_are_is_an_error(wanted: Wanted) -> None:
    with pytest.raises(ValueError, match="5 prompts wanted"):
        choose(replace(wanted, per_class=5))
