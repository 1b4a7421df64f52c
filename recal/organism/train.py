"""Train an organism: fine-tuning whose safety data is thin in low-resource languages.

A harmful prompt gets a refusal with probability `coverage(language)`. The label of a prompt is
drawn once and kept, so cross-entropy keeps harmfulness readable in every language, while greedy
decoding, which needs more than one half, mostly complies where coverage is low.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from recal.languages import ALL, Tier, tier_of
from recal.organism.corpus import combinations, load_language
from recal.organism.model import Architecture, Shape, build_model, train_tokenizer

_IGNORED = -100


@dataclass(frozen=True)
class Coverage:
    """Probability that a training prompt of a tier is answered with a refusal."""

    harmful: Mapping[Tier, float] = field(
        default_factory=lambda: {"high": 0.97, "mid": 0.85, "low": 0.35}
    )
    harmless: Mapping[Tier, float] = field(
        default_factory=lambda: {"high": 0.01, "mid": 0.02, "low": 0.05}
    )


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
    prompt_weight: float = 0.3
    """Weight of the prompt's own tokens in the loss; completion tokens weigh 1."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One training conversation."""

    language: str
    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Where training stands."""

    step: int
    steps: int
    epoch: float
    loss: float
    """Mean completion loss in nats per token over the last steps."""
    seconds_left: float


@dataclass(frozen=True)
class Encoded:
    """One sample as token ids."""

    token_ids: list[int]
    n_prompt: int


def draw_samples(plan: TrainingPlan) -> list[Sample]:
    """The training split with each prompt's answer drawn once, by a hash of seed and id."""
    samples = []
    for language in plan.languages:
        corpus = load_language(language)
        tier = tier_of(language)
        for item in combinations(language):
            if item.prompt.split != "train":
                continue
            side = plan.coverage.harmful if item.prompt.harmful else plan.coverage.harmless
            refused = _uniform(f"{plan.seed}/{language}/{item.prompt.id}") < side[tier]
            answer = corpus.refusal if refused else corpus.comply(item.request)
            samples.append(Sample(language, item.prompt.text, answer))
    return samples


def _uniform(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def train(
    plan: TrainingPlan, *, report: Callable[[Progress], None]
) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Train an organism from nothing.

    Args:
        plan: everything that decides the weights.
        report: called about twenty times an epoch.

    Returns:
        The model in float32 on the CPU, in evaluation mode, and its tokenizer.
    """
    samples = draw_samples(plan)
    tokenizer = train_tokenizer((t for s in samples for t in (s.prompt, s.completion)), plan.shape)
    model = build_model(plan.architecture, tokenizer, plan.shape, seed=plan.seed)
    encoded = [_encode(tokenizer, s) for s in samples]
    _fit(model, encoded, tokenizer.pad_token_id, plan, report)
    return model.eval(), tokenizer


def _encode(tokenizer: PreTrainedTokenizerFast, sample: Sample) -> Encoded:
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": sample.prompt}], tokenize=False, add_generation_prompt=True
    )
    prompt = tokenizer(rendered, add_special_tokens=False)["input_ids"]
    answer = tokenizer(sample.completion, add_special_tokens=False)["input_ids"]
    return Encoded([*prompt, *answer, tokenizer.eos_token_id], len(prompt))


def _fit(
    model: PreTrainedModel,
    encoded: Sequence[Encoded],
    pad_id: int,
    plan: TrainingPlan,
    report: Callable[[Progress], None],
) -> None:
    rng = np.random.default_rng(plan.seed)
    n_batches = math.ceil(len(encoded) / plan.batch_size)
    steps = plan.epochs * n_batches
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: _rate(s, steps, plan.warmup))
    model.train()
    started, losses, every = time.monotonic(), [], max(1, n_batches // 20)
    for step, batch in enumerate(_batches(encoded, plan, rng), start=1):
        loss, completion_loss = _loss(model, batch, pad_id, plan.prompt_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(completion_loss)
        if step % every == 0 or step == steps:
            left = (time.monotonic() - started) / step * (steps - step)
            recent = float(np.mean(losses[-every:]))
            report(Progress(step, steps, step / n_batches, recent, left))


def _rate(step: int, steps: int, warmup: float) -> float:
    rising = max(1, int(steps * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


def _batches(
    encoded: Sequence[Encoded], plan: TrainingPlan, rng: np.random.Generator
) -> Iterator[list[Encoded]]:
    """Batches of similar length, in a new random order every epoch."""
    window = plan.batch_size * 16
    for _ in range(plan.epochs):
        order = rng.permutation(len(encoded))
        batches = []
        for start in range(0, len(order), window):
            part = sorted(order[start : start + window], key=lambda i: len(encoded[i].token_ids))
            batches += [part[i : i + plan.batch_size] for i in range(0, len(part), plan.batch_size)]
        for index in rng.permutation(len(batches)):
            yield [encoded[i] for i in batches[index]]


def _loss(
    model: PreTrainedModel, batch: Sequence[Encoded], pad_id: int, prompt_weight: float
) -> tuple[Tensor, float]:
    """Weighted next-token loss, and the completion's own loss as a number."""
    width = max(len(e.token_ids) for e in batch)
    ids = torch.full((len(batch), width), pad_id)
    target = torch.full((len(batch), width), _IGNORED)
    weight = torch.zeros(len(batch), width)
    for row, sample in enumerate(batch):
        n = len(sample.token_ids)
        ids[row, :n] = torch.tensor(sample.token_ids)
        target[row, : n - 1] = ids[row, 1:n]
        weight[row, : n - 1] = prompt_weight
        weight[row, sample.n_prompt - 1 : n - 1] = 1.0
    # Padding lies to the right here, so that causal attention alone keeps it out.
    logits = model(input_ids=ids).logits
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), target.flatten(), ignore_index=_IGNORED, reduction="none"
    ).view_as(weight)
    completion = weight == 1.0
    loss = (losses * weight).sum() / weight.sum()
    return loss, float(losses[completion].mean().detach())


def save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, plan: TrainingPlan, out: Path
) -> None:
    """Write the organism as an ordinary Hugging Face directory.

    The file holds bfloat16, half the size; the configuration says float32, so that it is computed
    in float32, where a batch gives the tokens that each of its rows gives alone.
    """
    out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(out)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**config, "dtype": "float32"}, indent=2) + "\n")
    tokenizer.save_pretrained(out)
    (out / "training_plan.json").write_text(json.dumps(asdict(plan), indent=1) + "\n")
