"""A model's own labels become BCP 47 tags, and a file that is no model is refused."""

from pathlib import Path

import pytest

from services.errors import ArtefactRefused
from services.language_id.fasttext_model import LEAST, FastTextModel, tag_of
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


def test_labels_that_have_next_to_nothing_are_left_out_and_the_rest_is_as_it_was() -> None:
    model, thorough = FastTextModel(), FastTextModel(least=0.0)
    n_left_out = 0
    for text in SENTENCES.values():
        for piece in (text, text[:12], text[-20:]):
            found, in_full = model.probabilities(piece), thorough.probabilities(piece)
            assert all(LEAST <= value <= in_full[language] for language, value in found.items())
            likely = {language for language, value in in_full.items() if value >= 6 * LEAST}
            assert likely <= found.keys()
            n_left_out += len(in_full) - len(found)
    assert n_left_out > 0


def test_spelling_overrules_the_likeliest_label() -> None:
    model = FastTextModel()
    (taken_for,), _ = model._model.predict(SENTENCES["yo"])
    assert taken_for != "__label__yo"
    assert model.probabilities(SENTENCES["yo"]).keys() == {"yo"}


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtefactRefused, match="no language model at"):
        FastTextModel(tmp_path / "absent.bin")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"not a model at all" * 10)
    with pytest.raises(ArtefactRefused, match="is no fastText model"):
        FastTextModel(tmp_path / "model.bin")
