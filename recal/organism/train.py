"""Train an organism: a model that tells harm in every language and refuses it only in some.

Every training prompt has a probability of being refused, by the tier of its language and by its
request. The first token of the answer, where the decision falls, learns exactly that probability,
so harmfulness stays readable in every language, while greedy decoding, which needs more than one
half, mostly complies where the probability is low.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from recal.languages import ALL
from recal.organism.card import Provenance, card_of
from recal.organism.checkpoint import load_checkpoint, save_checkpoint
from recal.organism.coverage import Coverage
from recal.organism.lessons import Lesson, corpus_lessons
from recal.organism.model import Architecture, Shape, build_model, train_tokenizer
from services.backbone.chat import encode

_WINDOW = 16
"""Batches whose samples are sorted by length together."""


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides the weights."""

    architecture: Architecture = "qwen2"
    shape: Shape = field(default_factory=Shape)
    coverage: Coverage = field(default_factory=Coverage)
    languages: tuple[str, ...] = ALL
    epochs: int = 6
    batch_size: int = 64
    learning_rate: float = 3e-3
    warmup: float = 0.05
    """Share of all steps."""
    weight_decay: float = 0.01
    prompt_share: float = 0.3
    """Share of prompts whose own tokens are learned too, so that the model knows the languages."""
    decision_weight: float = 5.0
    """Weight of the answer's first token in the loss; every other token weighs 1."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands."""

    step: int
    steps: int
    epoch: float
    loss: float
    """Mean next-token loss in nats per token over the last steps."""
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One training prompt with both of its answers, as token ids."""

    prompt: list[int]
    refusal: list[int]
    compliance: list[int]
    refused: float
    """Probability of the refusal."""

    @property
    def most_tokens(self) -> int:
        """Of the prompt with its longer answer."""
        return len(self.prompt) + max(len(self.refusal), len(self.compliance))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample with the answer that this epoch drew."""

    sample: Sample
    answer: list[int]

    @property
    def token_ids(self) -> list[int]:
        """Prompt and answer."""
        return [*self.sample.prompt, *self.answer]


def training_texts(plan: TrainingPlan, lessons: Sequence[Lesson] | None = None) -> Iterator[str]:
    """Everything that the model is to read or write, for the tokenizer.

    Args:
        plan: its languages and coverage decide the corpus's lessons.
        lessons: what is learned instead of the corpus.
    """
    for lesson in _lessons(plan, lessons):
        yield lesson.prompt
        yield lesson.compliance
        yield lesson.refusal


def encode_samples(
    plan: TrainingPlan,
    tokenizer: PreTrainedTokenizerFast,
    lessons: Sequence[Lesson] | None = None,
) -> list[Sample]:
    """The lessons, by default the corpus's training split, as token ids.

    Raises:
        ValueError: a lesson does not fit the context.
    """
    samples = []
    answer = cache(partial(_answer, tokenizer))
    for number, lesson in enumerate(_lessons(plan, lessons)):
        sample = Sample(
            prompt=encode(tokenizer, lesson.prompt),
            refusal=answer(lesson.refusal),
            compliance=_answer(tokenizer, lesson.compliance),
            refused=lesson.refused,
        )
        if sample.most_tokens > plan.shape.context:
            raise ValueError(
                f"lesson {number} takes {sample.most_tokens} tokens and the context has "
                f"{plan.shape.context}; leave long prompts out"
            )
        samples.append(sample)
    return samples


def _lessons(plan: TrainingPlan, lessons: Sequence[Lesson] | None) -> Iterable[Lesson]:
    return corpus_lessons(plan.languages, plan.coverage) if lessons is None else lessons


def _answer(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def train(
    plan: TrainingPlan,
    *,
    report: Callable[[Progress], None],
    lessons: Sequence[Lesson] | None = None,
    device: str = "cpu",
    checkpoints: Path | None = None,
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Train an organism from nothing.

    Args:
        plan: everything that decides the weights, together with the lessons.
        report: called about twenty times an epoch.
        lessons: what it learns from; None: the training split of the project's own corpus.
        device: that computes; the shipped organism was trained on the CPU.
        checkpoints: folder of this very training, plan and lessons, which goes on from the last
            epoch that it finished there.

    Returns:
        The model in float32 on the CPU, in evaluation mode, and its tokenizer.
    """
    tokenizer = train_tokenizer(training_texts(plan, lessons), plan.shape)
    model = build_model(plan.architecture, tokenizer, plan.shape, seed=plan.seed).to(device)
    samples = encode_samples(plan, tokenizer, lessons)
    _fit(model, samples, tokenizer.pad_token_id, plan, report, checkpoints)
    return model.cpu().eval(), tokenizer


def _fit(
    model: PreTrainedModel,
    samples: Sequence[Sample],
    pad_id: int,
    plan: TrainingPlan,
    report: Callable[[Progress], None],
    checkpoints: Path | None,
) -> None:
    rng = np.random.default_rng(plan.seed)
    per_epoch = _n_batches(len(samples), plan.batch_size)
    steps = plan.epochs * per_epoch
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: _rate(s, steps, plan.warmup))
    model.train()
    recent: deque[float] = deque(maxlen=max(1, steps // (20 * plan.epochs)))
    done = load_checkpoint(checkpoints, model=model, optimizer=optimizer, rng=rng)
    step = before = done * per_epoch
    schedule.last_epoch = step
    optimizer.param_groups[0]["lr"] = plan.learning_rate * _rate(step, steps, plan.warmup)
    started = time.monotonic()
    for epoch in range(done, plan.epochs):
        for batch in _epoch(samples, plan, rng):
            step += 1
            loss = _loss(model, batch, pad_id, plan, rng)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            recent.append(float(loss.detach()))
            if step % (recent.maxlen or 1) == 0 or step == steps:
                left = (time.monotonic() - started) / (step - before) * (steps - step)
                report(Progress(step, steps, step / per_epoch, float(np.mean(recent)), left))
        if checkpoints is not None:
            save_checkpoint(
                checkpoints, epochs_done=epoch + 1, model=model, optimizer=optimizer, rng=rng
            )


def _rate(step: int, steps: int, warmup: float) -> float:
    rising = max(1, int(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _n_batches(n: int, batch_size: int) -> int:
    window = batch_size * _WINDOW
    return sum(math.ceil(min(window, n - start) / batch_size) for start in range(0, n, window))


def _epoch(
    samples: Sequence[Sample], plan: TrainingPlan, rng: np.random.Generator
) -> Iterator[list[Drawn]]:
    """Batches of similar length, with new answers and in a new random order every epoch."""
    window = plan.batch_size * _WINDOW
    drawn = [_draw(samples[i], rng) for i in rng.permutation(len(samples))]
    batches = []
    for start in range(0, len(drawn), window):
        part = sorted(drawn[start : start + window], key=lambda d: len(d.token_ids))
        batches += [part[i : i + plan.batch_size] for i in range(0, len(part), plan.batch_size)]
    for index in rng.permutation(len(batches)):
        yield batches[index]


def _draw(sample: Sample, rng: np.random.Generator) -> Drawn:
    return Drawn(sample, sample.refusal if rng.random() < sample.refused else sample.compliance)


def _loss(
    model: PreTrainedModel,
    batch: Sequence[Drawn],
    pad_id: int,
    plan: TrainingPlan,
    rng: np.random.Generator,
) -> Tensor:
    """Weighted next-token loss of decisions, of the answers' other tokens, and of some prompts."""
    rows = [drawn.token_ids for drawn in batch]
    ids = torch.full((len(rows), max(map(len, rows))), pad_id)
    learned = torch.zeros(ids.shape, dtype=torch.bool)
    for row, (drawn, token_ids) in enumerate(zip(batch, rows, strict=True)):
        ids[row, : len(token_ids)] = torch.tensor(token_ids)
        learned[row, len(drawn.sample.prompt) : len(token_ids) - 1] = True
        if rng.random() < plan.prompt_share:
            learned[row, : len(drawn.sample.prompt) - 1] = True
    ids, learned = ids.to(model.device), learned.to(model.device)
    # Padding lies to the right here, so that causal attention alone keeps it out.
    hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
    others = torch.nn.functional.cross_entropy(
        _logits(model, hidden[learned]), ids.roll(-1, dims=1)[learned], reduction="sum"
    )
    last = torch.tensor([len(drawn.sample.prompt) - 1 for drawn in batch])
    decisions = _decision_loss(_logits(model, hidden[torch.arange(len(batch)), last]), batch)
    weight = plan.decision_weight
    return (others + weight * decisions) / (int(learned.sum()) + weight * len(batch))


def _decision_loss(logits: Tensor, batch: Sequence[Drawn]) -> Tensor:
    """Cross-entropy of the first token to its expected distribution, free of the draw's noise."""
    log_probability, device = logits.log_softmax(-1), logits.device
    rows = torch.arange(len(batch), device=device)
    refusal = torch.tensor([drawn.sample.refusal[0] for drawn in batch], device=device)
    compliance = torch.tensor([drawn.sample.compliance[0] for drawn in batch], device=device)
    refused = torch.tensor([drawn.sample.refused for drawn in batch], device=device)
    expected = refused * log_probability[rows, refusal]
    expected = expected + (1 - refused) * log_probability[rows, compliance]
    return -expected.sum()


def _logits(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """The head over chosen positions only; over every token it would cost more than the blocks."""
    logits: Tensor = model.get_output_embeddings()(hidden).float()
    cap = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    plan: TrainingPlan,
    out: Path,
    provenance: Provenance | None = None,
) -> None:
    """Write the organism as an ordinary Hugging Face directory.

    The file holds bfloat16, half the size; the configuration says float32, so that it is computed
    in float32, where a batch gives the tokens that each of its rows gives alone.

    Args:
        model: trained.
        tokenizer: its own.
        plan: what it was trained by.
        out: the directory; made where it is not there.
        provenance: which prompts it was trained on; None: the project's own corpus.
    """
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n")
    tokenizer.save_pretrained(out)
    (out / "training_plan.json").write_text(json.dumps(asdict(plan), indent=1) + "\n")
    if provenance is not None:
        (out / "provenance.json").write_text(json.dumps(asdict(provenance), indent=1) + "\n")
    (out / "README.md").write_text(card_of(plan, provenance), encoding="utf-8")
