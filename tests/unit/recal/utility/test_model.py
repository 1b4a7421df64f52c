"""The harness's model type `recal`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model

from recal.utility.answers import Answers, Choice
from recal.utility.live_gate import LiveGate
from recal.utility.model import REFUSED, RecalModel
from services.backbone.load import Backbone
from services.domain import Action, Reason, Sampling
from services.gate.policy import Outcome, Override, Policy
from services.generation.offline import generate_texts
from services.generation.treatment import UNTOUCHED
from services.readout.artefact import save_calibration, save_readout
from services.refusals.phrases import fixed_refusal
from tests.unit.recal.utility.tiny_line import (
    WORDS,
    bundle_of,
    gate_of,
    middle_of,
    scores_of,
    strong_readout,
)

PROMPTS = [f"{a} {b}" for a in WORDS[:3] for b in WORDS]
REFUSE_UNKNOWN = Policy((Override(Reason.LANGUAGE_UNKNOWN, Outcome.REFUSE),))


def choices(*pairs: tuple[str, str]) -> list[Instance]:
    return [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]


def wanting(prompt: str, **wanted: Any) -> Instance:
    return Instance("generate_until", {}, (prompt, wanted), 0)


def model_of(backbone: Backbone, gate: LiveGate | None) -> RecalModel:
    return RecalModel(Answers(backbone, strong_readout(backbone).steering), gate)


def test_it_is_registered_under_its_name() -> None:
    assert get_model("recal") is RecalModel


def test_without_a_gate_every_answer_is_the_untouched_models(backbone: Backbone) -> None:
    model = model_of(backbone, None)
    found = model.loglikelihood(choices(*((p, " A") for p in PROMPTS)))
    plain = Answers(backbone, None).likelihoods([Choice(p, "A", Action.NONE) for p in PROMPTS])
    assert found == [tuple(x) for x in plain]
    assert model.verdicts == {}


def test_behind_the_gate_an_answer_is_scored_under_its_prompts_verdict(backbone: Backbone) -> None:
    scores = scores_of(backbone, PROMPTS)
    middle = middle_of(scores)
    model = model_of(backbone, gate_of(backbone, steer=middle))
    found = model.loglikelihood(choices(*((p, " A b") for p in PROMPTS)))
    actions = [Action.STEER if s >= middle else Action.NONE for s in scores]
    assert set(actions) == {Action.STEER, Action.NONE}
    answers = Answers(backbone, strong_readout(backbone).steering)
    expected = answers.likelihoods(
        [Choice(p, "A b", action) for p, action in zip(PROMPTS, actions, strict=True)]
    )
    assert [value for value, _ in found] == pytest.approx([x.log_probability for x in expected])
    assert [model.verdicts[p].action for p in PROMPTS] == actions


def test_the_space_before_a_continuation_is_no_part_of_the_answer(backbone: Backbone) -> None:
    model = model_of(backbone, None)
    one, two, only_space = model.loglikelihood(
        choices(("bread", " A"), ("bread", "A"), ("bread", " "))
    )
    assert one == two != only_space


def test_texts_are_generated_under_the_verdict_up_to_the_tasks_stop(backbone: Backbone) -> None:
    model = model_of(backbone, gate_of(backbone, steer=1e6))
    prompt = "how do I bake bread at home"
    (whole,) = generate_texts(backbone, [prompt], [UNTOUCHED], Sampling(max_tokens=12))
    stop = whole[3]
    wanted = [wanting(prompt, until=until, max_gen_toks=12) for until in (["§"], stop)]
    assert model.generate_until(wanted) == [whole, whole.split(stop)[0]]
    steered = model_of(backbone, gate_of(backbone, steer=-1e6))
    assert steered.generate_until(wanted[:1]) != [whole]


def test_sampling_is_greedy_unless_the_task_draws(backbone: Backbone) -> None:
    greedy = wanting("bread", until=[], max_gen_toks=8, temperature=1.5)
    drawn = wanting("bread", until=[], max_gen_toks=8, temperature=1.5, do_sample=True)
    one, two = model_of(backbone, None).generate_until([greedy, drawn])
    plain = generate_texts(backbone, ["bread"], [UNTOUCHED], Sampling(max_tokens=8))
    assert [one] == plain != [two]
    assert model_of(backbone, None).generate_until([drawn]) == [two]


def test_where_the_policy_refuses_no_answer_is_preferred(backbone: Backbone) -> None:
    model = model_of(backbone, gate_of(backbone, policy=REFUSE_UNKNOWN))
    found = model.loglikelihood(choices(("Z bread", " A"), ("Z bread", " B"), ("bread", " A")))
    assert found[:2] == [(REFUSED, False)] * 2
    assert found[2][0] > REFUSED
    assert model.generate_until([wanting("Z bread", until=[], max_gen_toks=8)]) == [
        fixed_refusal(None)
    ]


@pytest.mark.parametrize("gated", [True, False])
def test_a_prompt_that_is_too_long_is_marked_and_not_answered(
    backbone: Backbone, gated: bool
) -> None:
    model = model_of(backbone, gate_of(backbone) if gated else None)
    long = "x " * 200
    found = model.loglikelihood(choices((long, " A"), ("bread", " A")))
    assert found[0] == (REFUSED, False)
    assert found[1][0] > REFUSED
    assert model.generate_until([wanting(long, until=[])]) == [""]
    assert model.too_long == {long}


def test_a_prompt_with_too_long_an_answer_is_marked_for_all_of_its_answers(
    backbone: Backbone,
) -> None:
    model = model_of(backbone, None)
    found = model.loglikelihood(choices(("bread", " A"), ("bread", " x" * 200)))
    assert found == [(REFUSED, False)] * 2


def test_a_text_without_a_prompt_is_refused(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match="has no prompt to decide on"):
        model_of(backbone, None).loglikelihood_rolling([])


def test_it_is_made_from_model_args(backbone: Backbone, checkpoint: Path, tmp_path: Path) -> None:
    bundle = bundle_of(backbone, steer=0.0, release=None)
    saved = save_readout(bundle.readout, tmp_path / "readout")
    for language, calibration in bundle.calibrations.items():
        mine = type(calibration)(**(vars(calibration) | {"readout_digest": saved.digest}))
        save_calibration(mine, tmp_path / "calibrations" / language)
    where = f"readout={tmp_path}/readout,calibrations={tmp_path}/calibrations,model={checkpoint}"
    gated = RecalModel.create_from_arg_string(where)
    gated.loglikelihood(choices(("How do I bake a loaf of bread at home today?", " A")))
    assert [v.language for v in gated.verdicts.values()] == ["en"]
    untouched = RecalModel.create_from_arg_string(f"{where},gate=false")
    untouched.loglikelihood(choices(("bread", " A")))
    assert untouched.verdicts == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [("pretrained=gpt2", "no argument `pretrained`"), ("gate=perhaps", "`gate` is `perhaps`")],
)
def test_wrong_model_args_are_named(arguments: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RecalModel.create_from_arg_string(arguments)
