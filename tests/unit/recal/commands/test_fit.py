"""`recal fit` says what it chose, and what everything that it tried reached."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from recal.choose import Choice, Tried, choose
from recal.commands.fit import _ensembles, _languages, _name, _table
from recal.fit import Candidate
from recal.languages import HIGH, MID
from services.readout.place import Place
from tests.unit.recal.commands.collecting import recal
from tests.unit.recal.synthetic import complementary
from tests.unit.recal.test_fit import PLAN


@pytest.fixture(scope="module")
def choice() -> Choice:
    return choose(complementary(("en", "de", "fr", "ar")), replace(PLAN, rank=None))


def shown(choice: Choice) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(_table(choice))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_every_candidate_is_shown_with_what_it_reached(choice: Choice) -> None:
    table = shown(choice)
    singles = [tried for tried in choice.tried if len(tried.members) == 1]
    assert len(singles) == 27
    for tried in singles:
        assert f"{tried.members[0].rank}: {tried.transfer:.1%}" in table
    assert all(reading in table for reading in ("last", "instruction", "mean"))


def test_every_ensemble_is_named_by_its_places_and_shares(choice: Choice) -> None:
    learned, equal = _ensembles(choice)
    assert equal.count("share 0.33") == 3
    assert "block 1 (last, rank" in learned
    assert learned.endswith(f"{choice.chosen.transfer:.1%}")


def test_an_ensemble_of_two_is_one() -> None:
    one, other = Candidate(Place(0, "last"), 1, 0.7), Candidate(Place(2, "mean"), 4, 0.3)
    pair, alone = Tried((one, other), 0.875), Tried((one,), 0.5)
    (line,) = _ensembles(Choice(pair, (alone, pair)))
    assert line == (
        "together block 0 (last, rank 1, share 0.70) and block 2 (mean, rank 4, share 0.30): 87.5%"
    )


def test_a_candidate_alone_has_no_share() -> None:
    assert _name(Candidate(Place(3, "mean"), 4)) == "block 3 (mean, rank 4)"
    assert _name(Candidate(Place(3, "mean"), 4, 0.25)) == "block 3 (mean, rank 4, share 0.25)"


def test_languages_are_those_of_the_paper_unless_others_are_named() -> None:
    assert _languages("", "") == (HIGH, MID)
    assert _languages("en,de", "sw") == (("en", "de"), ("sw",))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--source", "en"), "at least two source languages"),
        (("--development", "qq"), "`qq` is no BCP 47 language tag"),
    ],
)
def test_languages_that_will_not_do_are_refused_before_the_model_is_loaded(
    arguments: tuple[str, ...], words: str
) -> None:
    done = recal("fit", "--model", "no-such-model", *arguments)
    assert words in str(done.exception)


@pytest.mark.parametrize(
    "arguments",
    [("--method", "best"), ("--reading", "first"), ("--rank", "0"), ("--depth", "2")],
    ids=" ".join,
)
def test_options_that_mean_nothing_end_with_code_2(arguments: tuple[str, ...]) -> None:
    done = recal("fit", *arguments)
    assert done.exit_code == 2
    assert arguments[0] in done.output
