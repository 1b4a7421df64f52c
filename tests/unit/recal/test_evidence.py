"""Prompts become evidence: what counts, what pairs up, and what is refused by id."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recal.collect import Activations
from recal.evidence import Beside, gather, labelled_of
from services.readout.bundle import Readout
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import fitted
from tests.unit.recal.test_recalibrate import as_source, few, joined, rows


@pytest.fixture(scope="module")
def readout() -> Readout:
    return replace(fitted(), digest="d" * 64, version="readout@1")


def with_prompt(given: Activations, at: int, **changes: object) -> Activations:
    prompts = list(given.prompts)
    prompts[at] = replace(prompts[at], **changes)
    return replace(given, prompts=tuple(prompts))


def test_a_text_that_comes_twice_counts_once_and_is_named(readout: Readout) -> None:
    examples = few()
    twice = with_prompt(examples, 1, text=f"  {examples.prompts[0].text.upper()} ")
    found = labelled_of(readout, twice, "sw")
    assert [p.id for p in found.prompts] == [
        p.id for p in examples.prompts if p != examples.prompts[1]
    ]
    assert (
        f"`{examples.prompts[0].id}` and `{examples.prompts[1].id}` are the same"
        in found.warnings[0]
    )
    assert len(found.scores) == 7


def test_a_text_with_both_labels_counts_for_neither_and_is_named(readout: Readout) -> None:
    examples = few()
    contradictory = with_prompt(examples, 7, text=examples.prompts[0].text)
    found = labelled_of(readout, contradictory, "sw")
    left = {examples.prompts[0].id, examples.prompts[7].id}
    assert left.isdisjoint(p.id for p in found.prompts if p.harmful is (p.id in left))
    assert len(found.prompts) == 6
    assert "the same text with both labels" in found.warnings[0]


def test_k_counts_what_is_left(readout: Readout) -> None:
    examples = few(k=2)
    gathered = gather(
        readout, with_prompt(examples, 1, text=examples.prompts[0].text), "sw", Beside()
    )
    assert len(gathered.evidence.harmful) == 1
    assert len(gathered.used) == 4


def test_examples_are_paired_with_their_translations_by_id_and_label(readout: Readout) -> None:
    examples = few()
    source = as_source(examples)
    order = np.random.default_rng(0).permutation(8).tolist()
    mixed = rows(joined(source, activations(("en",), n=3, seed=77)), [*order, 8, 9, 13])
    found = gather(readout, examples, "sw", Beside(sources=mixed)).evidence
    assert found.sources is not None
    # the synthetic source is the target moved, and scores are linear
    np.testing.assert_allclose(
        found.sources.harmful - found.harmful,
        np.full(4, (found.sources.harmful - found.harmful)[0]),
        atol=1e-4,
    )


def test_an_example_without_its_translation_is_named(readout: Readout) -> None:
    examples = few()
    source = rows(as_source(examples), range(1, 8))
    with pytest.raises(ValueError, match=f"1 of 8 .*the first is `{examples.prompts[0].id}`"):
        gather(readout, examples, "sw", Beside(sources=source))


def test_twenty_prompts_a_class_give_the_source_languages_own_means(readout: Readout) -> None:
    examples = few()
    for n, known in ((15, False), (16, True)):
        more = joined(as_source(examples), activations(("en",), n=n, seed=50))
        found = gather(readout, examples, "sw", Beside(sources=more)).evidence.sources
        assert (found.mean_harmful is not None) is known
        assert (found.mean_harmless is not None) is known


def test_sources_in_two_languages_are_refused(readout: Readout) -> None:
    both = joined(as_source(few(), "en"), as_source(few(), "de"))
    with pytest.raises(ValueError, match=r"`sw` are in 2 languages \(de, en\)"):
        gather(readout, few(), "sw", Beside(sources=both))


def test_parallel_prompts_pair_up_by_id(readout: Readout) -> None:
    many = activations(("sw",), n=15, shift=-4.0, seed=5)
    source = as_source(many)
    order = np.random.default_rng(1).permutation(len(source.prompts)).tolist()
    given = joined(many, rows(source, order))
    found = gather(readout, None, "sw", Beside(parallel=given)).evidence.parallel
    difference = found.source - found.target
    np.testing.assert_allclose(difference, difference[0], atol=1e-4)


def test_parallel_prompts_that_do_not_pair_up_are_refused(readout: Readout) -> None:
    many = activations(("sw",), n=15, shift=-4.0, seed=5)
    strangers = activations(("en",), n=15, seed=6)
    expected = "30 prompts of `sw` and 30 of `en` make 0 pairs by parallel id"
    with pytest.raises(ValueError, match=expected):
        gather(readout, None, "sw", Beside(parallel=joined(many, strangers)))


def test_an_id_that_comes_twice_is_named(readout: Readout) -> None:
    many = activations(("sw",), n=15, shift=-4.0, seed=5)
    twice = with_prompt(many, 1, parallel_id=many.prompts[0].id)
    with pytest.raises(
        ValueError, match=f"more than once in `sw`, the first is `{many.prompts[0].id}`"
    ):
        gather(readout, None, "sw", Beside(parallel=joined(twice, as_source(many))))


def test_translations_pair_up_by_parallel_id_where_their_ids_differ(readout: Readout) -> None:
    many = activations(("sw",), n=30, shift=-4.0, seed=5)
    theirs = as_source(many)
    renamed = replace(
        theirs,
        prompts=tuple(replace(p, id=f"en/{p.id}", parallel_id=p.id) for p in theirs.prompts),
    )
    beside = Beside(parallel=joined(many, renamed), sources=renamed)
    evidence = gather(readout, many, "sw", beside).evidence
    assert len(evidence.parallel.target) == 60
    assert len(evidence.sources.harmful) == 30


def test_labels_of_unlabelled_and_parallel_prompts_are_not_read(readout: Readout) -> None:
    many = activations(("sw",), n=30, shift=-4.0, seed=5)
    given = joined(many, as_source(many))
    lied = replace(given, prompts=tuple(replace(p, harmful=False) for p in given.prompts))
    for told in (given, lied):
        beside = Beside(unlabelled=told, parallel=told, harmful_share=0.3)
        evidence = gather(readout, None, "sw", beside).evidence
        assert len(evidence.unlabelled.scores) == 60
        assert evidence.unlabelled.harmful_share == 0.3
        assert len(evidence.parallel.target) == 60


def test_no_examples_are_no_error_here(readout: Readout) -> None:
    gathered = gather(readout, None, "sw", Beside())
    assert not gathered.evidence.has_labels
    assert gathered.used == ()
