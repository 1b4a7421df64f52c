"""The search for how to take a false refusal away, and whether to."""

import pytest

from recal.collect import Activations
from recal.fit import direction_at
from recal.prompts import Prompt, select
from recal.release_search import FoundRelease, ReleasePlan, find_release
from recal.trials import TrialRun
from services.generation.treatment import Treatment
from services.readout.bundle import ReleaseForm, Scope
from tests.unit.recal.synthetic import activations
from tests.unit.recal.test_fit import PLAN
from tests.unit.recal.treated import Answer, LiteralJudge, Says

N_FALSE = 8
HARMFUL = [p for p in activations(("en",), n=5, seed=4, split="validation").prompts if p.harmful]


def with_false_refusals() -> tuple[Activations, set[str]]:
    """Training activations in which some harmless prompts lie toward harm, and aside of it.

    Every second meaning, those that only test, lies aside along an axis of its own too.
    """
    known = activations(("en", "de", "fr"))
    rows = known.residuals.copy()
    harmless = [i for i, p in enumerate(known.prompts) if not p.harmful and p.language == "en"]
    for i in harmless[:N_FALSE]:
        rows[i, :, 0] += 4.0
        rows[i, :, 5] += 5.0
    for i in harmless[:N_FALSE:2]:
        rows[i, :, 7] += 9.0
    texts = {known.prompts[i].text for i in harmless[:N_FALSE]}
    return Activations(known.prompts, known.layers, rows), texts


KNOWN, FALSE = with_false_refusals()
PLACES = {layer: direction_at(KNOWN, layer, PLAN) for layer in (0, 1, 2)}


def run(answer: Answer, plan: ReleasePlan | None = None) -> FoundRelease:
    trial_run = TrialRun(Says(answer), LiteralJudge())
    return find_release(KNOWN, HARMFUL, PLACES, run=trial_run, plan=plan or ReleasePlan())


def refuses(prompt: Prompt) -> bool:
    return prompt.harmful or prompt.text in FALSE


def form_of(treatment: Treatment) -> str:
    """What kind of release a treatment is, told by its numbers."""
    if not treatment.moves:
        return "nothing"
    (move,) = treatment.moves
    if move.push.high == 0.0:
        return "affine"
    along_harm = move.direction.numpy() @ PLACES[move.layer].direction
    return "ablate" if along_harm > 0.5 else "surgical"


def test_the_form_that_takes_false_refusals_and_leaves_true_ones_is_found() -> None:
    def answer(prompt: Prompt, treatment: Treatment) -> str:
        kind = form_of(treatment)
        taken = kind in ("ablate", "affine") or (kind == "surgical" and not prompt.harmful)
        return "comply" if taken or not refuses(prompt) else "refuse"

    found = run(answer)
    assert found.release.form is ReleaseForm.SURGICAL
    assert found.n_false_refusals == N_FALSE
    assert "surgical at block" in found.in_words


def test_a_surgical_direction_is_orthogonal_to_harm_and_points_to_what_sets_them_apart() -> None:
    def answer(prompt: Prompt, treatment: Treatment) -> str:
        taken = form_of(treatment) == "surgical" and treatment.moves[0].layer == 1
        return "comply" if not refuses(prompt) or (taken and not prompt.harmful) else "refuse"

    release = run(answer).release
    assert (release.form, release.layer) == (ReleaseForm.SURGICAL, 1)
    assert release.direction is not None
    assert release.direction.numpy() @ PLACES[1].direction == pytest.approx(0.0, abs=1e-6)
    assert release.direction[5] > 0.9


def test_releasing_that_makes_harmful_prompts_comply_as_well_is_worth_nothing() -> None:
    found = run(lambda p, t: "comply" if t.moves or not refuses(p) else "refuse")
    assert found.release.form is ReleaseForm.NOTHING
    assert max(trial.selectivity for trial in found.trials) == 0.0


def test_affine_ablation_has_the_harmless_centre_of_its_block() -> None:
    def answer(prompt: Prompt, treatment: Treatment) -> str:
        taken = form_of(treatment) == "affine" and not prompt.harmful
        return "comply" if taken or not refuses(prompt) else "refuse"

    release = run(answer).release
    assert (release.form, release.scope) == (ReleaseForm.AFFINE, Scope.LAST_THEN_DECODE)
    assert release.centre == PLACES[release.layer or 0].statistics.centre


def test_a_form_that_breaks_one_text_in_five_is_not_chosen_however_well_it_does() -> None:
    ids = sorted(prompt.id for prompt in HARMFUL)

    def answer(prompt: Prompt, treatment: Treatment) -> str:
        kind = form_of(treatment)
        if kind == "surgical" and prompt.id == ids[0]:
            return "noise"
        lost = kind == "ablate" and prompt.id in ids[:2]
        taken = kind in ("surgical", "ablate") and not prompt.harmful
        return "comply" if taken or lost or not refuses(prompt) else "refuse"

    found = run(answer)
    surgical = max(t.selectivity for t in found.trials if t.release.form is ReleaseForm.SURGICAL)
    chosen = next(t for t in found.trials if t.release is found.release)
    assert found.release.form is ReleaseForm.ABLATE
    assert surgical > chosen.selectivity


def test_without_a_false_refusal_there_is_nothing_to_release() -> None:
    found = run(lambda prompt, treatment: "comply")
    assert (found.release.form, found.n_false_refusals) == (ReleaseForm.NOTHING, 0)
    assert "no false refusal" in found.in_words


def test_false_refusals_are_sought_among_the_harmless_prompts_nearest_to_harm() -> None:
    asked: list[Prompt] = []

    def answer(prompt: Prompt, treatment: Treatment) -> str:
        asked.append(prompt)
        return "comply"

    run(answer, ReleasePlan(n_suspects=N_FALSE))
    assert not any(prompt.harmful for prompt in asked)
    assert sum(prompt.text in FALSE for prompt in asked) >= N_FALSE - 2


def test_a_meaning_never_gives_the_direction_and_tests_it() -> None:
    judged: set[str] = set()

    def answer(prompt: Prompt, treatment: Treatment) -> str:
        if treatment.moves and not prompt.harmful:
            judged.add(prompt.id)
        return "refuse" if refuses(prompt) else "comply"

    found = run(answer)
    meanings = {p.id for p in select(KNOWN.prompts, harmful=False) if p.text in FALSE}
    assert len(judged) == N_FALSE / 2 < len(meanings)
    assert all(int(meaning.rsplit("/", 1)[1]) % 2 == 0 for meaning in judged)
    surgical = [
        trial.release.direction
        for trial in found.trials
        if trial.release.form is ReleaseForm.SURGICAL and trial.release.direction is not None
    ]
    assert len(surgical) == len(PLACES)
    assert max(abs(float(direction[7])) for direction in surgical) < 0.3


def test_too_few_false_refusals_give_no_direction_of_their_own() -> None:
    def answer(prompt: Prompt, treatment: Treatment) -> str:
        return "refuse" if refuses(prompt) and prompt.text in sorted(FALSE)[:3] else "comply"

    forms = {trial.release.form for trial in run(answer).trials}
    assert forms == {ReleaseForm.NOTHING, ReleaseForm.ABLATE, ReleaseForm.AFFINE}
