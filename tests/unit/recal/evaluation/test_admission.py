"""What an evaluation refuses to begin with."""

from dataclasses import replace

import pytest

from recal.evaluation import admission
from recal.prompts import Prompt
from tests.unit.services.readout.factories import a_calibration

TEST = Prompt("a/1", "sw", True, "first", "test")
OTHER = Prompt("a/2", "sw", False, "second", "test")


def test_a_source_in_two_splits_is_refused_in_whatever_language() -> None:
    twin = Prompt("a/1", "en", True, "translated", "calibration")
    with pytest.raises(ValueError, match=r"`a/1` \(test in `sw`, calibration in `en`\)"):
        admission.refuse_shared_sources([TEST], [TEST, twin])


def test_a_source_in_one_split_and_two_languages_is_what_is_wanted() -> None:
    twin = Prompt("a/1", "en", True, "translated", "test")
    admission.refuse_shared_sources([TEST, twin], [TEST, twin, replace(OTHER, split="train")])


def test_the_message_about_a_shared_source_holds_no_text() -> None:
    twin = replace(TEST, split="train", text="SECRET")
    with pytest.raises(ValueError, match="two splits") as caught:
        admission.refuse_shared_sources([replace(TEST, text="SECRET")], [twin])
    assert "SECRET" not in str(caught.value)


def test_a_missing_class_is_counted_out() -> None:
    with pytest.raises(ValueError, match="`sw` has 1 harmful and 0 harmless test prompts"):
        admission.refuse_missing_classes([TEST], ("sw",), "test")
    admission.refuse_missing_classes([TEST, OTHER], ("sw",), "test")


def test_a_tag_that_is_none_is_told_from_a_language_without_prompts() -> None:
    with pytest.raises(ValueError, match="`swahili!` is no BCP 47 tag"):
        admission.refuse_unknown_languages(("sw", "swahili!"), [TEST])
    with pytest.raises(ValueError, match="no prompts of `yo` to evaluate; there are some of sw"):
        admission.refuse_unknown_languages(("yo",), [TEST])
    admission.refuse_unknown_languages(("sw",), [TEST])


def test_a_prompt_that_set_the_threshold_cannot_test_it() -> None:
    tuned = replace(a_calibration("sw"), example_hashes=(TEST.digest,))
    with pytest.raises(ValueError, match=r"1 prompt\(s\) of `sw` set its threshold.*`a/1`"):
        admission.refuse_tuned_prompts({"sw": tuned}, [TEST, OTHER])
    admission.refuse_tuned_prompts({"sw": tuned}, [OTHER, replace(TEST, language="yo")])


def test_a_text_that_may_be_an_example_is_not_tested() -> None:
    pooled = Prompt("b/1", "sw", True, "first", "calibration")
    with pytest.raises(ValueError, match="example `b/1` and test prompt `a/1`"):
        admission.refuse_example_prompts([pooled], [OTHER, TEST])
    admission.refuse_example_prompts([pooled], [OTHER, replace(TEST, language="yo")])
