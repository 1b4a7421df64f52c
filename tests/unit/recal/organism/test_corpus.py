"""The organism's corpus: aligned, split without overlap, inert."""

from collections import Counter

import pytest

from recal.languages import ALL
from recal.organism.corpus import (
    HELD_OUT_OBJECTS,
    combinations,
    corpus_prompts,
    load_language,
    split_of,
    topic_of,
)
from recal.prompts import refuse_overlap


@pytest.mark.parametrize("language", ALL)
def test_every_language_has_the_same_templates_and_objects_as_english(language: str) -> None:
    mine, english = load_language(language), load_language("en")
    for part in ("templates", "harmful", "harmless"):
        assert list(getattr(mine, part)) == list(getattr(english, part))


def test_the_corpus_is_as_large_as_promised() -> None:
    english = load_language("en")
    assert len(english.templates) >= 20
    kept = set(english.harmful) - set(HELD_OUT_OBJECTS)
    assert len(kept) >= 30
    assert len(set(english.harmless) - set(HELD_OUT_OBJECTS)) >= 30


@pytest.mark.parametrize("language", ALL)
def test_every_template_frames_every_request_once(language: str) -> None:
    corpus = load_language(language)
    assert all(t.count("{request}") == 1 for t in corpus.templates.values())
    assert corpus.compliance.count("{topic}") == 1
    requests = [*corpus.harmful.values(), *corpus.harmless.values()]
    assert len(set(requests)) == len(requests)


def test_no_text_stands_in_two_splits_or_classes() -> None:
    refuse_overlap(corpus_prompts())


def test_a_combination_is_in_the_same_split_in_every_language() -> None:
    splits = [{c.prompt.id: c.prompt.split for c in combinations(la)} for la in ("en", "sw", "my")]
    assert splits[0] == splits[1] == splits[2]


def test_every_split_holds_both_classes_of_a_language() -> None:
    counts = Counter((c.prompt.split, c.prompt.harmful) for c in combinations("yo"))
    splits = ("train", "validation", "calibration", "test", "heldout")
    assert {key[0] for key in counts} == set(splits)
    assert min(counts.values()) >= 40


def test_held_out_objects_never_occur_in_another_split() -> None:
    for item in combinations("de"):
        held_out = item.prompt.id.rsplit("/", 1)[1] in HELD_OUT_OBJECTS
        assert held_out == (item.prompt.split == "heldout")


def test_the_split_depends_on_the_combination_alone() -> None:
    assert split_of("explain/harmful/car", "car") == split_of("explain/harmful/car", "car")
    assert split_of("explain/harmful/bank", "bank") == "heldout"


def test_a_topic_is_a_few_of_the_requests_own_words() -> None:
    assert topic_of("cheat an old person out of their savings") == "cheat an old person out"
    assert topic_of("儿童") == "儿童"


def test_a_topic_never_ends_before_a_combining_mark() -> None:
    text = "ကျောင်းတစ်ကျောင်းမှာစာအုပ်ဟောင်းတွေရောင်း"
    topic = topic_of(text)
    rest = text[len(topic) :]
    assert text.startswith(topic)
    assert rest[0] not in "ါာိီုူေဲံ့းွှ်ျြ"


def test_an_unknown_language_is_named() -> None:
    with pytest.raises(ValueError, match="no corpus for `xx`"):
        load_language("xx")


def test_an_answer_repeats_only_the_prompts_own_words() -> None:
    english = load_language("en")
    request = english.harmful["bomb"]
    assert english.comply(request) == english.compliance.format(topic=topic_of(request))
    assert topic_of(request) in request
