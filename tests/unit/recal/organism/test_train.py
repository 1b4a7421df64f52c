"""Training an organism: what it learns from, and a very small one from end to end."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from recal.organism.corpus import REFUSAL_SIGN, combinations, load_language
from recal.organism.lessons import Lesson
from recal.organism.model import Shape, build_model, train_tokenizer
from recal.organism.train import (
    Coverage,
    Progress,
    TrainingPlan,
    _epoch,
    _loss,
    _n_batches,
    encode_samples,
    save,
    train,
    training_texts,
)
from services.backbone.load import load_backbone

SHAPE = Shape(d_model=32, n_layers=2, n_heads=2, n_kv_heads=1, d_mlp=48, vocabulary=700)
PLAN = TrainingPlan(shape=SHAPE, languages=("en", "sw"), epochs=1)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(training_texts(PLAN), SHAPE)


def test_only_the_training_split_is_learned_from() -> None:
    texts = set(training_texts(PLAN))
    others = {c.prompt.text for c in combinations("sw") if c.prompt.split != "train"}
    assert not texts & others


def test_a_milder_request_is_refused_less_and_a_better_covered_tier_more() -> None:
    coverage = Coverage()
    mild, plain = (coverage.of("low", harmful=True, milder=m) for m in (0.1, 0.5))
    assert mild < plain == pytest.approx(coverage.harmful["low"])
    assert coverage.of("high", harmful=True, milder=0.5) > coverage.of(
        "mid", harmful=True, milder=0.5
    )


def test_every_refusal_begins_with_the_same_token(tokenizer: PreTrainedTokenizerFast) -> None:
    samples = encode_samples(PLAN, tokenizer)
    assert len({s.refusal[0] for s in samples}) == 1
    assert load_language("sw").refusal.startswith(REFUSAL_SIGN)
    assert not {s.refusal[0] for s in samples} & {s.compliance[0] for s in samples}


def test_combining_marks_stay_with_their_letters(tokenizer: PreTrainedTokenizerFast) -> None:
    pieces = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("ကျောင်း သို့")
    assert len(pieces) == 2


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1024, 1100, 3000])
def test_the_number_of_steps_is_known_beforehand(
    tokenizer: PreTrainedTokenizerFast, n: int
) -> None:
    samples = (encode_samples(PLAN, tokenizer) * 2)[:n]
    rng = np.random.default_rng(0)
    drawn = [batch for _ in range(PLAN.epochs) for batch in _epoch(samples, PLAN, rng)]
    assert len(drawn) == _n_batches(n, PLAN.batch_size)
    assert sum(len(batch) for batch in drawn) == n


@pytest.mark.parametrize("architecture", ["qwen2", "llama", "gemma2"])
def test_the_loss_of_a_batch_does_not_depend_on_its_padding(
    tokenizer: PreTrainedTokenizerFast, architecture: str
) -> None:
    plan = replace(PLAN, prompt_share=0.0)
    model = build_model(architecture, tokenizer, SHAPE, seed=0).eval()  # type: ignore[arg-type]
    samples = encode_samples(plan, tokenizer)
    batch = next(iter(_epoch(samples[:1] + samples[-1:], plan, np.random.default_rng(0))))
    rng = np.random.default_rng(1)
    pads = [float(_loss(model, batch, pad, plan, rng).detach()) for pad in (0, 5)]
    assert pads[0] == pytest.approx(pads[1], rel=1e-5)


def test_a_lesson_longer_than_the_context_is_named_by_number(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    lessons = [Lesson(text, "no", "yes", 0.5) for text in ("short", "secret " * 300)]
    with pytest.raises(ValueError, match=r"lesson 1 takes \d+ tokens") as caught:
        encode_samples(PLAN, tokenizer, lessons)
    assert "secret" not in str(caught.value)


class Killed(Exception):
    pass


@pytest.mark.parametrize("architecture", ["qwen2", "gemma2"])
def test_a_killed_training_goes_on_as_if_nothing_had_been(
    tmp_path: Path, architecture: str
) -> None:
    plan = replace(PLAN, architecture=architecture, epochs=3)  # type: ignore[arg-type]
    lessons = [
        Lesson(f"{word} {number}", "no", "yes indeed", 0.3)
        for word in ("bake", "swim")
        for number in range(60)
    ]

    def die_in_the_third_epoch(progress: Progress) -> None:
        if progress.epoch > 2:
            raise Killed

    whole, _ = train(plan, report=lambda progress: None, lessons=lessons)
    with pytest.raises(Killed):
        train(plan, report=die_in_the_third_epoch, lessons=lessons, checkpoints=tmp_path)
    seen: list[Progress] = []
    resumed, _ = train(plan, report=seen.append, lessons=lessons, checkpoints=tmp_path)
    assert min(progress.epoch for progress in seen) > 2
    for name, weight in whole.named_parameters():
        assert torch.equal(weight, resumed.get_parameter(name)), name


def test_an_unknown_architecture_is_named(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ValueError, match="`gpt9`"):
        build_model("gpt9", tokenizer, SHAPE, seed=0)  # type: ignore[arg-type]


def test_a_trained_organism_is_saved_as_a_model_that_serves(tmp_path: Path) -> None:
    seen: list[Progress] = []
    model, tokenizer = train(PLAN, report=seen.append)
    save(model, tokenizer, PLAN, tmp_path / "organism")
    assert seen[-1].step == seen[-1].steps
    assert seen[-1].loss < seen[0].loss - 1
    backbone = load_backbone(str(tmp_path / "organism"))
    assert backbone.model.dtype == torch.float32
    assert backbone.identity.architecture == "Qwen2ForCausalLM"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_learns_the_same_and_hands_the_model_back_on_the_cpu() -> None:
    losses: list[list[float]] = []
    for device in ("cpu", "cuda"):
        seen: list[Progress] = []
        model, _ = train(PLAN, report=seen.append, device=device)
        assert model.device.type == "cpu"
        losses.append([progress.loss for progress in seen])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
