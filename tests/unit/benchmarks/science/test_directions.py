"""What the benchmark of the fallback counts, on an organism that was never there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.science.directions import (
    CASES,
    CONTROLS,
    EVERY_PLACE,
    FALLBACK_BROKEN,
    FROZEN_BROKEN,
    KS,
    Cell,
    Row,
    bars_of,
    cells_of,
    measure_ground,
    row_of,
)
from benchmarks.science.grounds import (
    Ground,
    at_place_on_learned,
    frozen_broken,
    in_languages,
    in_memory,
    searched,
    shuffled,
    thinned,
)
from recal.collect import Activations
from recal.fallback import MOST_APART
from recal.fit import by_language
from recal.maths.direction import pooled_direction
from recal.prompts import Split
from tests.unit.recal.synthetic import IDENTITY
from tests.unit.recal.test_fit import PLAN
from tests.unit.recal.test_own_readout import SOURCES, turned

LANGUAGES = ("sw", "yo")


def part(split: Split, languages: tuple[str, ...], seed: int, n: int = 40) -> Activations:
    return turned(languages, n=n, seed=seed, gap=4.0, split=split)


@pytest.fixture(scope="module")
def ground() -> Ground:
    plan = replace(PLAN, rank=None, development_languages=())
    return Ground(
        name="synthetic",
        identity=IDENTITY,
        plan=plan,
        languages=LANGUAGES,
        unseen=part("validation", SOURCES, 1),
        learned=part("train", SOURCES, 2),
        calibration=part("calibration", LANGUAGES, 3),
        scored={"test": part("test", LANGUAGES, 4, n=60)},
    )


def cell(apart: float, frozen: float, direction: float, language: str = "sw") -> Cell:
    return Cell(language, apart, False, {"test": (frozen, direction)}, {"test": (0.7, 0.9)})


def test_the_rule_takes_the_direction_in_cells_that_part_more_than_it_allows() -> None:
    cells = [cell(0.31, 10, 60), cell(0.3, 20, 70), cell(0.5, 60, 40, "yo"), cell(0.0, 50, 50)]
    row = row_of("x", 4, "test", cells)
    assert row.j_rule.mean == np.mean([60, 20, 40, 50])
    assert (row.j_frozen.mean, row.j_direction.mean) == (35, 55)
    assert (row.fired, row.right, row.seen) == (0.5, 0.5, 0.5)
    assert row.j_at["0.2"] == np.mean([60, 70, 40, 50])
    assert row.j_at["0.4"] == np.mean([10, 20, 40, 50])
    assert row.languages["yo"].j_rule == 40
    assert row.languages["sw"].fired == pytest.approx(1 / 3)
    assert (row.auc_frozen, row.auc_direction) == (0.7, 0.9)


def test_where_it_never_fires_nobody_says_how_often_it_was_right() -> None:
    row = row_of("x", 4, "test", [cell(0.1, 50, 50)])
    assert (row.right, row.seen) == (None, None)


def test_sound_readouts_agree_and_weights_of_shuffled_labels_do_not(ground: Ground) -> None:
    sound = cells_of(searched(ground), ground, 4, range(1, 4))
    assert len(sound) == 3 * len(LANGUAGES)
    assert max(each.apart for each in sound) < 0.1
    broken = [
        each
        for seed in range(4)
        for each in cells_of(frozen_broken(ground, seed), ground, 4, range(1, 3))
    ]
    row = row_of(FROZEN_BROKEN, 4, "test", broken)
    assert row.auc_frozen < 0.85 < 0.95 < row.auc_direction
    assert row.apart > 0.2
    assert row.j_rule.mean > row.j_frozen.mean + 10


def test_both_readouts_get_the_same_draw_and_every_draw_is_another(ground: Ground) -> None:
    readout = searched(ground)
    one, again, other = (cells_of(readout, ground, 1, [number]) for number in (1, 1, 2))
    assert one == again
    assert [each.j for each in one] != [each.j for each in other]


def test_shuffled_labels_keep_each_languages_counts_and_little_else(ground: Ground) -> None:
    for seed in (0, 1):
        found = shuffled(ground.unseen, seed)
        for language in SOURCES:
            before, after = (
                [p.harmful for p in each.prompts if p.language == language]
                for each in (ground.unseen, found)
            )
            assert sum(before) == sum(after)
            assert 0.3 < np.mean(np.array(before) == np.array(after)) < 0.7
    assert shuffled(ground.unseen, 0).prompts != shuffled(ground.unseen, 1).prompts
    assert shuffled(ground.unseen, 0).prompts == shuffled(ground.unseen, 0).prompts


def test_prompts_are_chosen_without_touching_their_residuals(ground: Ground) -> None:
    whole = in_memory(ground.calibration)
    assert np.array_equal(whole.residuals, ground.calibration.residuals)  # type: ignore[arg-type]
    yo = in_languages(whole, ("yo",))
    assert {p.language for p in yo.prompts} == {"yo"}
    few = thinned(whole, 5)
    assert len(few.prompts) == 2 * 5 * len(LANGUAGES)
    assert {p.parallel_id for p in few.prompts if p.language == "sw"} == {
        p.parallel_id for p in few.prompts if p.language == "yo"
    }


def test_every_readout_has_a_row_for_each_k_and_is_held_to_its_bar(ground: Ground) -> None:
    found = measure_ground(ground, draws=2, shuffles=2)
    names = [*CASES, EVERY_PLACE, *CONTROLS]
    assert [row["case"] for row in found.results["rows"]] == [n for n in names for _ in KS]
    whole, by_share = found.table.split("J × 100 of the rule")
    assert whole.count("\n| ") == len(names) * len(KS) + 1
    assert by_share.count("\n| ") == len(names) + 1
    assert len(found.bars) == len(names)


def test_every_place_in_turn_is_each_place_once(ground: Ground) -> None:
    places = list(ground.plan.places(ground.learned))
    assert len(set(places)) == 9
    made = at_place_on_learned(ground, places[4])
    assert made.places == (places[4],)
    assert made.parts[0].rank == len(SOURCES)
    assert made.fallback is not None
    layer, reading = places[4]
    rows = by_language(ground.learned, layer, SOURCES, reading)
    weight = made.fallback.parts[0].linear.weight.double().numpy()
    cosine = weight @ pooled_direction(rows) / np.linalg.norm(weight)
    assert cosine == pytest.approx(1.0, abs=1e-5)


def row(case: str, fired: float, gain: float, seen: float | None = None) -> Row:
    made = row_of(case, 4, "test", [cell(0.1, 50, 50)])
    rule = replace(made.j_frozen, mean=50 + gain)
    return replace(made, fired=fired, j_rule=rule, seen=seen)


def test_a_rule_that_harms_or_is_blind_misses_its_bar() -> None:
    rows = [row("searched", 0.0, 0.0), row(FALLBACK_BROKEN, 0.2, -20.0)]
    rows += [row(FROZEN_BROKEN, 0.9, 40.0, seen=0.95)]
    assert [bar.met for bar in bars_of("x", rows)] == [True, False, True]
    blind = [row(FROZEN_BROKEN, 0.1, 1.0, seen=0.1), row(FROZEN_BROKEN, 0.0, 0.0)]
    assert [bar.met for bar in bars_of("x", blind)] == [False, False]
    assert MOST_APART == 0.3
