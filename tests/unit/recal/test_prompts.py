"""Prompts: selection, spreading, overlap and files."""

from pathlib import Path

import pytest

from recal.prompts import (
    Prompt,
    draw,
    load_examples,
    load_jsonl,
    refuse_overlap,
    save_jsonl,
    select,
    spread,
)


def _prompt(identity: str, **changes: object) -> Prompt:
    fields = {
        "id": identity,
        "language": "sw",
        "harmful": True,
        "text": f"text of {identity}",
        "split": "test",
        **changes,
    }
    return Prompt(**fields)  # type: ignore[arg-type]


def test_selection_keeps_order_and_matches_all_conditions() -> None:
    prompts = [_prompt("a"), _prompt("b", harmful=False), _prompt("c", language="yo"), _prompt("d")]
    chosen = select(prompts, split="test", languages=("sw",), harmful=True)
    assert [p.id for p in chosen] == ["a", "d"]


def test_spreading_takes_the_same_meanings_in_every_language() -> None:
    prompts = [_prompt(f"p{i}", language=la) for la in ("sw", "yo") for i in range(20)]
    chosen = spread(prompts, 5)
    ids = [{p.id for p in chosen if p.language == la} for la in ("sw", "yo")]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 5


def test_spreading_goes_by_the_parallel_id_where_ids_differ() -> None:
    prompts = [
        _prompt(f"{la}:{i}", language=la, parallel_id=f"p{i}")
        for la in ("sw", "yo")
        for i in range(20)
    ]
    chosen = spread(prompts, 5)
    groups = [{p.parallel_id for p in chosen if p.language == la} for la in ("sw", "yo")]
    assert groups[0] == groups[1]


def test_spreading_more_keeps_what_fewer_took() -> None:
    prompts = [_prompt(f"p{i}") for i in range(20)]
    assert {p.id for p in spread(prompts, 3)} < {p.id for p in spread(prompts, 7)}


def test_a_draw_takes_other_meanings_in_every_language_and_draw() -> None:
    prompts = [_prompt(f"p{i}", language=la) for la in ("sw", "yo") for i in range(40)]
    first, second = draw(prompts, 4, number=1), draw(prompts, 4, number=2)
    ids = [{p.id for p in first if p.language == la} for la in ("sw", "yo")]
    assert [len(each) for each in ids] == [4, 4]
    assert ids[0] != ids[1]
    assert ids[0] != {p.id for p in second if p.language == "sw"}
    assert first == draw(prompts, 4, number=1)


def test_spreading_over_too_few_prompts_names_the_language() -> None:
    with pytest.raises(ValueError, match="`sw` has only 1 harmful"):
        spread([_prompt("a")], 2)


def test_a_text_in_two_splits_is_refused_without_showing_it() -> None:
    twice = [_prompt("a", text="secret"), _prompt("b", text="secret", split="train")]
    with pytest.raises(ValueError, match="`a`") as caught:
        refuse_overlap(twice)
    assert "secret" not in str(caught.value)


def test_the_same_text_with_both_labels_is_refused() -> None:
    with pytest.raises(ValueError, match="one class"):
        refuse_overlap([_prompt("a", text="t"), _prompt("b", text="t", harmful=False)])


def test_the_same_text_in_two_languages_is_fine() -> None:
    refuse_overlap([_prompt("a", text="t"), _prompt("a", text="t", language="yo", split="train")])


def test_translations_in_two_splits_are_refused() -> None:
    two = [
        _prompt("a:sw", parallel_id="a"),
        _prompt("a:yo", language="yo", split="train", parallel_id="a"),
    ]
    with pytest.raises(ValueError, match="translations of `a`"):
        refuse_overlap(two)


def test_the_parallel_id_is_the_id_by_default() -> None:
    assert _prompt("a").parallel_id == "a"


def test_json_lines_survive_a_round_trip(tmp_path: Path) -> None:
    prompts = [
        _prompt("a"),
        _prompt("b", harmful=False, text="habari ya «asubuhi»"),
        _prompt("c", parallel_id="joined"),
    ]
    save_jsonl(prompts, tmp_path / "p.jsonl")
    assert load_jsonl(tmp_path / "p.jsonl") == prompts


def test_a_bad_line_is_named_by_number_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"language": "sw", "harmful": "yes", "text": "secret"}\n')
    with pytest.raises(ValueError, match="line 1") as caught:
        load_jsonl(path)
    assert "secret" not in str(caught.value)


def test_examples_are_read_from_lists_and_mappings(tmp_path: Path) -> None:
    path = tmp_path / "sw.yaml"
    path.write_text("harmful: [a, b]\nharmless: {x: c}\n")
    examples = load_examples(path, "sw")
    assert [(p.text, p.harmful) for p in examples] == [("a", True), ("b", True), ("c", False)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("language: yo\nharmful: [a]\nharmless: [b]\n", "of `yo`, not of `sw`"),
        ("harmful: [a]\nharmless: []\n", "1 harmful and 0 harmless"),
        ("harmful: [a]\n", "needs the keys"),
        ("harmful: [a]\nharmless: ['  ']\n", "is not a text"),
    ],
)
def test_examples_that_cannot_be_used_are_refused(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "sw.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        load_examples(path, "sw")


def test_texts_in_two_lists_mean_nothing_alike_and_those_of_one_name_do(tmp_path: Path) -> None:
    lists = "harmful: [a, b]\nharmless: [c]\n"
    named = "harmful: {x: a}\nharmless: {y: c}\n"
    found = {}
    for name, text in (("one", lists), ("two", lists), ("three", named), ("four", named)):
        (tmp_path / f"{name}.yaml").write_text(text)
        prompts = load_examples(tmp_path / f"{name}.yaml", "sw")
        found[name] = {p.parallel_id for p in prompts}
    assert found["one"].isdisjoint(found["two"])
    assert found["three"] == found["four"] == {"harmful/x", "harmless/y"}
