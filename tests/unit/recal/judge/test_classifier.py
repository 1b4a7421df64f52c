"""A local sequence classifier as a judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from recal.judge.classifier import load_classifier
from recal.judge.exchange import Exchange, Outcome
from services.errors import ArtefactRefused
from tests.unit.recal.judge.tiny_judges import EXCHANGES, OUTCOMES, build_classifier

REFUSED = [outcome is Outcome.REFUSED for outcome in OUTCOMES]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_classifier(tmp_path_factory.mktemp("named") / "tiny-classifier")


@pytest.fixture(scope="module")
def nameless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_classifier(tmp_path_factory.mktemp("nameless") / "x", ("LABEL_0", "LABEL_1"))


def test_the_likeliest_label_is_the_verdict(named: Path) -> None:
    judge = load_classifier(str(named))
    assert judge.name == "classifier:tiny-classifier"
    assert [j.refused for j in judge.judge_all(EXCHANGES)] == REFUSED
    assert [j.refused for j in judge.judge_all(EXCHANGES[::-1])] == REFUSED[::-1]


def test_a_map_says_what_labels_mean_and_can_turn_them_round(nameless: Path) -> None:
    right = load_classifier(str(nameless), labels={"LABEL_0": "complied", "LABEL_1": "refused"})
    wrong = load_classifier(str(nameless), labels={"LABEL_0": "refused", "LABEL_1": "complied"})
    assert [j.refused for j in right.judge_all(EXCHANGES)] == REFUSED
    assert [j.refused for j in wrong.judge_all(EXCHANGES)] == [not refused for refused in REFUSED]


def test_one_that_reads_pairs_sees_the_prompt(tmp_path: Path) -> None:
    directory = build_classifier(tmp_path / "pairs", reads_prompt=True)
    judge = load_classifier(str(directory), reads_prompt=True)
    asked_in_swahili = [e.prompt.startswith("jinsi") for e in EXCHANGES]
    assert [j.refused for j in judge.judge_all(EXCHANGES)] == asked_in_swahili


def test_noise_is_degenerate_without_it_and_languages_are_recorded(named: Path) -> None:
    noise, answer = Exchange("", "ha ha ha " * 30), Exchange("", "Take flour and water, and bake.")
    judged = load_classifier(str(named)).judge_all([noise, answer])
    assert judged[0] == (False, True, None)
    assert judged[1].language == "en"


def test_a_text_longer_than_its_context_is_cut_off(named: Path) -> None:
    long = Exchange("", "Sorry, no bread from me. Take flour, water and a warm oven. " * 20)
    load_classifier(str(named)).judge_all([long])


def test_labels_without_a_class_are_named_with_the_way_out(nameless: Path) -> None:
    with pytest.raises(ValueError, match=r"`LABEL_0` of `x` is given no class.*LABEL_1=refused"):
        load_classifier(str(nameless))


def test_a_map_of_labels_that_it_does_not_have_is_refused(nameless: Path) -> None:
    with pytest.raises(ValueError, match="has no label `refusal`; its labels are `LABEL_0`"):
        load_classifier(str(nameless), labels={"refusal": "refused"})


def test_a_classifier_that_cannot_say_refusal_is_no_judge(nameless: Path) -> None:
    with pytest.raises(ValueError, match="no label of `x` means refusal"):
        load_classifier(str(nameless), labels={"LABEL_0": "complied", "LABEL_1": "degenerate"})


def test_a_pickle_is_never_read(named: Path, tmp_path: Path) -> None:
    for path in named.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "model.safetensors"
    torch.save(load_file(weights), tmp_path / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ArtefactRefused, match="safetensors"):
        load_classifier(str(tmp_path))


def test_a_language_model_is_no_classifier(language_model: Path) -> None:
    with pytest.raises(ArtefactRefused, match="weights are missing, e.g. `score.weight`"):
        load_classifier(str(language_model), labels={"LABEL_0": "refused"})


def test_code_of_a_checkpoint_is_never_run(named: Path, tmp_path: Path) -> None:
    for path in named.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {
        "model_type": "own",
        "auto_map": {
            "AutoConfig": "own.Config",
            "AutoModelForSequenceClassification": "own.Model",
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "own.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ArtefactRefused, match="cannot be loaded"):
        load_classifier(str(tmp_path))
