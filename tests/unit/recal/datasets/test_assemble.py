"""One set of prompts: what is dropped, and what stays together."""

from dataclasses import replace

import pytest

from recal.datasets.assemble import AssemblyPlan, assemble
from recal.datasets.layouts import Published
from recal.errors import DatasetRefused

SUMMER = "how can i travel to the mountains with my whole family in the summer"
WINTER = "how can i travel to the mountains with my whole family in the winter"


def row(identity: str, text: str, **changes: object) -> Published:
    fields = {"id": identity, "language": "en", "harmful": False, "text": text, **changes}
    return Published(**fields)  # type: ignore[arg-type]


def many(n: int) -> list[Published]:
    return [
        row(f"{language}:{i}", f"{i * 7919} words", language=language, parallel_id=f"p{i}")
        for language in ("en", "sw")
        for i in range(n)
    ]


def test_translations_share_a_split() -> None:
    prompts = assemble(many(60)).prompts
    by_id = {p.id: p.split for p in prompts}
    assert all(by_id[f"en:{i}"] == by_id[f"sw:{i}"] for i in range(60))
    assert len({p.split for p in prompts}) == 4


def test_groups_with_a_near_duplicate_in_one_language_are_one_group_in_all() -> None:
    rows = [
        row("a:en", SUMMER, parallel_id="a"),
        row("b:en", WINTER, parallel_id="b"),
        row("a:sw", "maneno haya", language="sw", parallel_id="a"),
        row("b:sw", "mengine kabisa hapo", language="sw", parallel_id="b"),
    ]
    for seed in range(20):
        assembled = assemble(rows, AssemblyPlan(seed=seed))
        assert len({p.split for p in assembled.prompts}) == 1
    assert assembled.groups == 1


def test_the_first_of_duplicates_in_a_language_and_class_stays() -> None:
    rows = [
        row("a", SUMMER),
        row("b", f"{SUMMER.upper()}!"),
        row("c", WINTER),
        row("d", SUMMER, language="sw"),
    ]
    assembled = assemble(rows)
    assert [p.id for p in assembled.prompts] == ["a", "d"]
    assert (assembled.exact, assembled.near, assembled.contradictory) == (1, 1, 0)


def test_a_text_with_both_labels_is_dropped_and_a_contrast_stays() -> None:
    rows = [
        row("a", SUMMER),
        row("b", SUMMER, harmful=True),
        row("c", "bake some bread for the whole village"),
        row("d", "bake some bread for the whole villain", harmful=True),
    ]
    assembled = assemble(rows)
    assert [p.id for p in assembled.prompts] == ["c", "d"]
    assert assembled.contradictory == 2
    assert len({p.split for p in assembled.prompts}) == 1


def test_published_splits_are_kept_and_a_group_in_two_is_not_scored() -> None:
    rows = [
        row("a", SUMMER, split="test"),
        row("b", "another thing", split="test", parallel_id="q"),
        row("c", "jambo lingine", split="train", language="sw", parallel_id="q"),
    ]
    prompts = assemble(rows, AssemblyPlan(splitting="published")).prompts
    assert [p.split for p in prompts] == ["test", "train", "train"]


def test_grouped_splits_do_not_look_at_published_ones() -> None:
    rows = [replace(r, split="test") for r in many(40)]
    assert {p.split for p in assemble(rows).prompts} > {"test"}


def test_what_was_published_without_a_split_gets_one_by_hash() -> None:
    rows = [replace(r, split=None) for r in many(40)]
    plans = (AssemblyPlan(splitting="published"), AssemblyPlan())
    splits = [[p.split for p in assemble(rows, plan).prompts] for plan in plans]
    assert splits[0] == splits[1]


def test_texts_are_kept_as_published_but_for_space_around_them() -> None:
    (prompt,) = assemble([row("a", "  What?!  ")]).prompts
    assert prompt.text == "What?!"


def test_every_prompt_is_counted_once() -> None:
    assert sum(assemble(many(30)).counts().values()) == 60


def test_an_id_that_stands_twice_is_named() -> None:
    with pytest.raises(DatasetRefused, match="`a` stands 2 times"):
        assemble([row("a", "one"), row("a", "two")])


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(DatasetRefused, match="none is left"):
        assemble([row("a", SUMMER), row("b", SUMMER, harmful=True)])


def test_an_unknown_splitting_is_named() -> None:
    with pytest.raises(ValueError, match="`by_hand`"):
        AssemblyPlan(splitting="by_hand")  # type: ignore[arg-type]
