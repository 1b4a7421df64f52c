"""Judges by the name on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from recal.inputs import judge_of as judge_for_commands
from recal.judge.named import judge_of
from services.errors import ArtefactRefused
from tests.unit.recal.judge.tiny_judges import EXCHANGES, build_classifier


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier") / "tiny"
    return build_classifier(folder, ("LABEL_0", "LABEL_1"))


@pytest.mark.parametrize("name", ["phrases", "organism"])
def test_a_judge_without_a_model_is_its_kind(name: str) -> None:
    assert judge_of(name).name == name


def test_a_classifier_takes_its_labels_from_the_name(classifier: Path) -> None:
    judge = judge_of(f"classifier:{classifier}#LABEL_0=complied, LABEL_1=refused")
    assert judge.name == "classifier:tiny"
    assert judge.judge_all(EXCHANGES[:1])[0].refused


def test_a_classifier_may_read_pairs(classifier: Path) -> None:
    labels = "LABEL_0=complied,LABEL_1=refused"
    judge_of(f"classifier:{classifier}#{labels},input=pair").judge_all(EXCHANGES)
    with pytest.raises(ValueError, match="`input` is `both`"):
        judge_of(f"classifier:{classifier}#{labels},input=both")


def test_a_local_model_is_loaded(language_model: Path) -> None:
    assert judge_of(f"llm:{language_model}").name == "llm:tiny-qwen2"


def test_an_endpoint_takes_its_key_from_the_environment_alone() -> None:
    name = "endpoint:http://judge.example/v1#some/model"
    assert judge_of(name, environ={}).name == "endpoint:judge.example#some/model"
    with pytest.raises(ValueError, match="without encryption"):
        judge_of(name, environ={"RECAL_JUDGE_API_KEY": "k"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("oracle", "no judge `oracle`; choose `phrases`"),
        ("llm", "no judge `llm`"),
        ("llm:", "no judge `llm:`"),
        ("endpoint:http://localhost/v1", "names no model"),
        ("classifier:x#refused", "`refused` maps no label"),
    ],
)
def test_a_name_that_is_none_says_what_is_missing(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge_of(name)


def test_a_model_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ArtefactRefused, match="no directory"):
        judge_of("llm:./nowhere")


def test_commands_use_the_same() -> None:
    assert judge_for_commands is judge_of
