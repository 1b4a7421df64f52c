"""Nothing that is scored was trained on, nor a translation or near-duplicate of it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from benchmarks.science.prompt_sets import (
    FILES,
    FOLDER,
    HIGH,
    LANGUAGES,
    LOW,
    PromptSets,
    benchmark_prompts,
    languages_scored,
)
from recal.datasets.duplicates import near_pairs, plain
from recal.maths.metrics import auroc
from recal.own_readout import MIN_TRANSLATIONS
from recal.prompts import refuse_overlap, select
from tests.unit.benchmarks.science.made_up import rows, text_of, write

HERE = all((FOLDER / name).is_file() for name in FILES)
needs_files = pytest.mark.skipif(
    not HERE, reason="the published prompts are not beside this clone (../shared/data)"
)


@pytest.fixture(scope="module")
def real() -> PromptSets:
    return benchmark_prompts()


def leaking_groups(sets: PromptSets) -> set[str]:
    splits = defaultdict(set)
    for prompt in sets.prompts:
        splits[prompt.parallel_id].add(prompt.split)
    return {group for group, found in splits.items() if len(found) > 1}


def leaking_texts(sets: PromptSets, *, near: float, language: str) -> list[tuple[str, str]]:
    mine = select(sets.prompts, languages=(language,))
    pairs = near_pairs([plain(p.text) for p in mine], near=near)
    return [(mine[i].id, mine[j].id) for i, j in pairs if mine[i].split != mine[j].split]


@needs_files
def test_no_group_of_real_prompts_stands_in_two_splits(real: PromptSets) -> None:
    assert leaking_groups(real) == set()
    refuse_overlap(real.prompts)


@needs_files
@pytest.mark.parametrize("language", ["en", "zh", *LOW])
def test_no_real_prompt_has_a_near_duplicate_in_another_split(
    real: PromptSets, language: str
) -> None:
    assert leaking_texts(real, near=0.6, language=language) == []


@needs_files
def test_there_are_enough_real_prompts_to_draw_and_to_score(real: PromptSets) -> None:
    for language in LOW:
        for harmful in (True, False):
            mine = select(real.prompts, languages=(language,), harmful=harmful)
            assert len(select(mine, split="test")) >= 60
            assert len(select(mine, split="calibration")) >= 36
            # an own readout asks for as many of what nobody learned
            assert len(select(mine, split="validation")) >= MIN_TRANSLATIONS
    assert languages_scored(real.prompts) == tuple(la for la in LANGUAGES if la != "zh")


@needs_files
@pytest.mark.parametrize("language", [*HIGH, *LOW])
def test_length_alone_does_not_tell_the_classes_of_scored_prompts_apart(
    real: PromptSets, language: str
) -> None:
    if language == "zh":
        pytest.skip("zh has no scored harmless prompts")
    mine = select(real.prompts, split="test", languages=(language,))
    lengths = [[len(p.text) for p in mine if p.harmful == label] for label in (True, False)]
    assert auroc(*lengths) == pytest.approx(0.5, abs=0.07)


@needs_files
def test_every_calibration_prompt_has_its_english_translation(real: PromptSets) -> None:
    english = {p.parallel_id for p in real.english}
    assert {p.parallel_id for p in select(real.prompts, split="calibration")} <= english


def test_translations_of_calibration_prompts_are_english_and_matched_or_not(
    tmp_path: Path,
) -> None:
    published = rows(60)
    matched = [row for row in published if row["lang"] != "en"]
    sets = benchmark_prompts(write(tmp_path, published, matched))
    calibration = select(sets.prompts, split="calibration")
    assert {p.language for p in sets.english} == {"en"}
    assert {p.parallel_id for p in calibration} == {p.parallel_id for p in sets.english}


def test_made_up_prompts_are_split_by_group(tmp_path: Path) -> None:
    sets = benchmark_prompts(write(tmp_path, rows(60)))
    assert leaking_groups(sets) == set()
    assert {p.split for p in sets.prompts} == {"train", "validation", "calibration", "test"}
    assert not [p.id for p in sets.prompts if p.text.endswith("?")]


def test_a_near_duplicate_in_one_language_keeps_two_groups_together(tmp_path: Path) -> None:
    published = rows(60)
    twins = {row["id"]: row for row in published}
    for number in range(0, 40, 2):
        twins[f"polyrefuse:yo:harmful:{number + 1}"]["text"] = (
            f"{text_of('yo', 'harmful', number)} please"
        )
    sets = benchmark_prompts(write(tmp_path, published))
    split_of = {p.parallel_id: p.split for p in sets.prompts if p.language == "en"}
    for number in range(0, 40, 2):
        pair = [f"polyrefuse:harmful:{n}" for n in (number, number + 1)]
        assert split_of[pair[0]] == split_of[pair[1]]


def test_harmless_groups_whose_chinese_is_unknown_are_scored_only_if_it_lies_elsewhere(
    tmp_path: Path,
) -> None:
    published = rows(60)
    split_of = {row["id"]: row["split"] for row in published}
    sets = benchmark_prompts(write(tmp_path, published))
    kept = [p for p in sets.prompts if not p.harmful]
    seen = [p for p in kept if p.split in ("calibration", "test")]
    assert {split_of[p.id] for p in seen} == {"test"}
    assert {p.split for p in kept if p.language == "zh"} == {"train"}
    assert {split_of[p.id] for p in kept if p.language == "zh"} == {"train"}


def test_only_matched_prompts_are_scored_and_drawn(tmp_path: Path) -> None:
    published = rows(60)
    matched = [row for row in published if row["lang"] != "fr"]
    sets = benchmark_prompts(write(tmp_path, published, matched))
    french = {p.split for p in sets.prompts if p.language == "fr"}
    assert french == {"train", "validation"}
    assert "fr" not in languages_scored(sets.prompts)


def test_a_group_that_is_matched_in_no_language_may_be_learned(tmp_path: Path) -> None:
    published = rows(60)
    before = benchmark_prompts(write(tmp_path, published))
    scored = next(p for p in before.prompts if p.split == "test" and p.language != "en")
    group = {p.id for p in before.prompts if p.parallel_id == scored.parallel_id}
    unmatched = [row for row in published if row["id"] not in group]
    after = benchmark_prompts(write(tmp_path, published, unmatched))
    splits = {p.id: p.split for p in after.prompts}
    assert {splits[i] for i in group} == {"train"}
    # one of its languages is enough to keep it from being learned
    one = [row for row in published if row["id"] not in group - {scored.id}]
    sets = benchmark_prompts(write(tmp_path, published, one))
    assert {p.split for p in sets.prompts if p.id in group} == {"test"}


def test_missing_files_are_said_loudly(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        benchmark_prompts(tmp_path / "nowhere")
    assert "prompts.jsonl.gz and matched_eval.jsonl.gz" in str(caught.value)
    assert "--data PATH" in str(caught.value)


def test_a_leak_would_be_noticed(tmp_path: Path) -> None:
    sets = benchmark_prompts(write(tmp_path, rows(60)))
    first, *rest = sets.prompts
    other = "test" if first.split == "train" else "train"
    moved = type(first)(
        f"{first.id}'", first.language, first.harmful, first.text, other, first.parallel_id
    )
    leaky = PromptSets((first, moved, *rest), ())
    assert leaking_groups(leaky) == {first.parallel_id}
    assert leaking_texts(leaky, near=0.6, language=first.language)
