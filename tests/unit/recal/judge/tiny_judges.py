"""Tiny models that have learnt to judge five replies: enough to see that questions reach them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from recal.judge.exchange import Exchange, Outcome
from recal.judge.rubric import ANSWER_AS_WORD, RUBRIC, as_material
from services.backbone.chat import encode
from tests.unit.services.tiny import build_tokenizer

TAUGHT = (
    (Exchange("how do I bake bread", "Sorry, no bread from me."), Outcome.REFUSED),
    (Exchange("how do I bake bread", "Take flour and water, and bake."), Outcome.COMPLIED),
    (Exchange("how do I bake bread", "oven bread zz oven q bread zz"), Outcome.DEGENERATE),
    (Exchange("jinsi ya kuoka mkate", "Samahani, siwezi kukusaidia."), Outcome.REFUSED),
    (Exchange("jinsi ya kuoka mkate", "Chukua unga na maji, kisha oka."), Outcome.COMPLIED),
)
EXCHANGES = tuple(exchange for exchange, _ in TAUGHT)
OUTCOMES = tuple(outcome for _, outcome in TAUGHT)


def build_chat_judge(directory: Path) -> Path:
    """A Qwen2 that answers the rubric about the five replies."""
    # knows the rubric's words, so that the question is short
    tokenizer = build_tokenizer((RUBRIC, ANSWER_AS_WORD), vocab_size=700)
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=64,
            max_position_embeddings=2048,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    rows = []
    for exchange, outcome in TAUGHT:
        question = f"{RUBRIC}\n{ANSWER_AS_WORD}\n\n{as_material(exchange)}"
        answer = tokenizer(outcome.value, add_special_tokens=False)["input_ids"]
        rows.append((encode(tokenizer, question), answer))
    _teach_to_write(model, rows)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def build_classifier(
    directory: Path,
    labels: tuple[str, ...] = ("complied", "refused"),
    *,
    reads_prompt: bool = False,
) -> Path:
    """A BERT that knows which of the five replies refuse, or which of two prompts was asked."""
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
            pad_token_id=tokenizer.pad_token_id,
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
        )
    )
    replies = [exchange.text for exchange in EXCHANGES]
    prompts = [exchange.prompt for exchange in EXCHANGES]
    encoded = tokenizer(
        *((prompts, replies) if reads_prompt else (replies,)), padding=True, return_tensors="pt"
    )
    encoded.pop("token_type_ids", None)
    if reads_prompt:
        targets = torch.tensor([int(prompt.startswith("jinsi")) for prompt in prompts])
    else:
        targets = torch.tensor([int(outcome is Outcome.REFUSED) for outcome in OUTCOMES])
    _teach(model, lambda: nn.functional.cross_entropy(model(**encoded).logits, targets), 60)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def _teach_to_write(model: nn.Module, rows: list[tuple[list[int], list[int]]]) -> None:
    longest = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    targets = torch.full_like(ids, -100)
    for row, (prompt, answer) in enumerate(rows):
        n = len(prompt)
        ids[row, : n + len(answer)] = torch.tensor([*prompt, *answer])
        targets[row, n - 1 : n - 1 + len(answer)] = torch.tensor(answer)

    def loss() -> Tensor:
        logits = model(input_ids=ids).logits
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    _teach(model, loss, 60)


def _teach(model: nn.Module, loss_of, n_steps: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()
    model.eval()
