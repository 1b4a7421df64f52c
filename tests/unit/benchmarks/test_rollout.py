"""What the rollout benchmark counts: failures, answers of two versions, and who has followed."""

from __future__ import annotations

import pytest

from benchmarks.rollout.artefacts import Version
from benchmarks.rollout.load import Answered, Said, mixed
from benchmarks.rollout.moves import CALM, drawn_between, named, until_followed
from services.domain import Action
from services.readout.canary import drawn

OLD, NEW = Version(1, 1), Version(2, 1)
SAYS = {
    version.name: Said(version.name, "readout@1", action, threshold, text)
    for version, action, threshold, text in (
        (OLD, Action.NONE, 1.0, "Gladly."),
        (NEW, Action.STEER, 2.0, "No."),
    )
}
EXPECTED = {(name, "hello"): said for name, said in SAYS.items()}


def answer(of: Version, began: float = 0.0, key: str = "a", **fields: object) -> Answered:
    said = SAYS[of.name]._replace(**fields)  # type: ignore[arg-type]
    return Answered(began, "hello", key, said)


def test_an_answer_that_is_its_versions_throughout_is_of_one() -> None:
    assert mixed([answer(OLD), answer(NEW), answer(NEW, text=None)], EXPECTED) == []


@pytest.mark.parametrize(
    "of_another",
    [
        {"action": Action.NONE},
        {"threshold": 1.0},
        {"text": "Gladly."},
        {"readout": "readout@2"},
        {"version": "en@1"},
        {"version": "en@9"},
        {"version": ""},
    ],
)
def test_an_answer_with_any_part_of_another_version_is_mixed(of_another: dict[str, object]) -> None:
    found = answer(NEW, **of_another)
    assert mixed([answer(NEW), found], EXPECTED) == [found]


def calls(*versions: Version) -> list[Answered]:
    return [answer(version, 10.0 + number) for number, version in enumerate(versions)]


def test_a_move_is_followed_from_the_first_call_after_the_last_of_another_version() -> None:
    seen = calls(OLD, NEW, OLD, *[NEW] * CALM)
    assert until_followed(seen, 9.0, named(NEW)) == 4.0


def test_a_move_that_too_few_calls_have_followed_is_not_yet() -> None:
    assert until_followed(calls(OLD, *[NEW] * (CALM - 1)), 9.0, named(NEW)) is None
    assert until_followed(calls(*[NEW] * CALM, OLD), 9.0, named(NEW)) is None
    assert until_followed([], 9.0, named(NEW)) is None


def test_a_canary_is_followed_where_every_key_gets_what_it_is_drawn_to() -> None:
    follows = drawn_between(OLD, NEW, 0.5)
    for key in map(str, range(20)):
        mine, other = (NEW, OLD) if drawn(key, NEW.name) < 0.5 else (OLD, NEW)
        assert follows(answer(mine, key=key))
        assert not follows(answer(other, key=key))
