"""A model's own labels become BCP 47 tags, and a file that is no model is refused."""

from pathlib import Path

import pytest

from services.errors import ArtefactRefused
from services.language_id.fasttext_model import FastTextModel, tag_of
from tests.unit.services.language_id.sentences import SENTENCES


@pytest.mark.parametrize(
    ("label", "tag"),
    [
        ("__label__sw", "sw"),
        ("__label__swh_Latn", "sw"),
        ("__label__yor_Latn", "yo"),
        ("__label__mya_Mymr", "my"),
        ("__label__arb_Arab", "ar"),
        ("__label__arz", "ar"),
        ("__label__pes_Arab", "fa"),
        ("__label__cmn_Hani", "zh"),
        ("__label__yue", "zh"),
        ("__label__zho_Hant", "zh-Hant"),
        ("__label__kor_Hang", "ko"),
        ("__label__jpn_Jpan", "ja"),
        ("__label__srp_Latn", "sr-Latn"),
        ("__label__und_Latn", None),
        ("__label__zxx", None),
    ],
)
def test_a_label_becomes_a_tag(label: str, tag: str | None) -> None:
    assert tag_of(label) == tag


def test_lid176_says_als_for_alemannic() -> None:
    assert tag_of("__label__als", wikipedia_codes=True) == "gsw"
    assert tag_of("__label__als_Latn") == "sq"


def test_a_label_that_is_no_language_tag_is_refused() -> None:
    with pytest.raises(ArtefactRefused, match="label `__label__harmless question`"):
        tag_of("__label__harmless question")


def test_every_label_of_the_bundled_model_is_a_tag() -> None:
    probabilities = FastTextModel().probabilities("how can i bake bread")
    assert max(probabilities, key=probabilities.__getitem__) == "en"
    assert sum(probabilities.values()) <= 1.001


@pytest.mark.parametrize("at_least", [0.2, 0.5, 0.9])
def test_what_is_clearly_a_language_has_as_much_of_the_probability(at_least: float) -> None:
    model, found = FastTextModel(), []
    for text in SENTENCES.values():
        for piece in (text, text[:12], text[-20:]):
            reading = model.probabilities(piece)
            for language in reading:
                clearly = model.is_clearly(piece, language, at_least=at_least)
                assert not clearly or reading[language] >= at_least
                found.append(clearly)
    assert 0 < sum(found) < len(found)


def test_spelling_overrules_a_label_there_too() -> None:
    model = FastTextModel()
    (taken_for,), _ = model._model.predict(SENTENCES["yo"])
    assert taken_for != "__label__yo"
    assert not model.is_clearly(SENTENCES["yo"], tag_of(taken_for), at_least=0.01)
    assert model.is_clearly(SENTENCES["yo"], "yo", at_least=0.01)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactRefused, match="no language model at"):
        FastTextModel(tmp_path / "absent.bin")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a model at all" * 10)
    with pytest.raises(ArtefactRefused, match="is no fastText model"):
        FastTextModel(tmp_path / "model.bin")
