"""Many prompts to many texts without a service around: the same batch, rows and end conditions.

Beside texts, the distribution of the first new token, for what is measured before any is chosen,
and how high a monitor's score comes in an answer, for its threshold.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from services.backbone.chat import encode
from services.backbone.load import Backbone
from services.domain import MonitorStop, Sampling, TextChunk
from services.errors import InvalidRequest, ServiceError
from services.generation.decode import Batch
from services.generation.intake import check_sampling, end_tokens
from services.generation.intervention import Phase
from services.generation.monitor import Monitor
from services.generation.row import Row
from services.generation.sampling import NO_TOKEN
from services.generation.slabs import Held
from services.generation.stretches import Given, logits_after
from services.generation.treatment import Treatment

Report = Callable[[int, int], None]
"""Called with texts done and texts in all."""


def generate_texts(
    backbone: Backbone,
    prompts: Sequence[str],
    treatments: Sequence[Treatment],
    sampling: Sampling,
    *,
    max_rows: int = 32,
    report: Report = lambda done, total: None,
    ended: Callable[[int, str], None] = lambda index, text: None,
) -> list[str]:
    """Texts of prompts, each under its own treatment.

    Args:
        backbone: the whole model; nothing else may run it meanwhile.
        prompts: as a user would send them.
        treatments: one for each prompt.
        sampling: the same for all.
        max_rows: prompts decoded together.
        report: called whenever texts have ended.
        ended: called with each text when it ends, and with its prompt's index.

    Returns:
        A text for each prompt, in order.

    Raises:
        InvalidRequest: the sampling makes no sense, or a prompt does not fit the context.
        ServiceError: the model's logits are not finite.
        ValueError: there is not one treatment for each prompt.
    """
    check_sampling(sampling)
    rows = _rows(backbone, prompts, treatments, sampling)
    texts = {id(row): "" for row in rows}
    places = {id(row): index for index, row in enumerate(rows)}

    def told(row: Row, chunk: TextChunk | None) -> None:
        texts[id(row)] += chunk.text if chunk else ""
        if row.finish is not None:
            ended(places[id(row)], texts[id(row)])

    _run(backbone, rows, max_rows, told, report)
    return [texts[id(row)] for row in rows]


class WatchedText(NamedTuple):
    """An answer, and how high its running score came."""

    text: str
    peak: float
    """The highest running score of all looks, the one at the end among them; minus infinity of an
    answer of a single token, of which nothing is read."""


def watched_texts(
    backbone: Backbone,
    prompts: Sequence[str],
    treatments: Sequence[Treatment],
    sampling: Sampling,
    monitor: Monitor,
    *,
    max_rows: int = 32,
    report: Report = lambda done, total: None,
) -> list[WatchedText]:
    """Texts of prompts, each under its own treatment, while a monitor looks at them.

    An answer that the monitor's threshold withdraws ends there; an infinite one withdraws none.

    Args:
        backbone: the whole model; nothing else may run it meanwhile.
        prompts: as a user would send them.
        treatments: one for each prompt, none of them STEER: its answers are not looked at.
        sampling: the same for all.
        monitor: what looks.
        max_rows: prompts decoded together.
        report: called whenever answers have ended.

    Returns:
        One for each prompt, in order.

    Raises:
        InvalidRequest: the sampling makes no sense, or a prompt does not fit the context.
        ServiceError: logits or a score are not finite.
        ValueError: there is not one treatment for each prompt, or one of them is not looked at.
    """
    check_sampling(sampling)
    rows = _rows(backbone, prompts, treatments, sampling, monitor)
    watches = {row: row.watch for row in rows if row.watch is not None}
    if len(watches) < len(rows):
        raise ValueError("answers under `steer` are not looked at; give other treatments")
    texts = dict.fromkeys(rows, "")

    def told(row: Row, chunk: TextChunk | None) -> None:
        if chunk is not None and chunk.withdrawn_by is MonitorStop.NON_FINITE:
            raise ServiceError("the score of an answer is not finite; load another dtype")
        texts[row] += chunk.text if chunk else ""

    _run(backbone, rows, max_rows, told, report)
    return [WatchedText(texts[row], watches[row].peak) for row in rows]


@torch.inference_mode()
def first_token_logits(
    backbone: Backbone,
    prompts: Sequence[str],
    treatments: Sequence[Treatment],
    *,
    max_rows: int = 32,
) -> Tensor:
    """Logits of the first new token of each prompt, under its own treatment.

    Returns:
        (n, vocabulary) float32 on the CPU.

    Raises:
        ValueError: there is not one treatment for each prompt.
    """
    rows = []
    for prompt, treatment in zip(prompts, treatments, strict=True):
        ids = encode(backbone.tokenizer, prompt)
        rows.append(Given(ids, treatment, Phase.PREFILL, Held(len(ids))))
    parts = [rows[start : start + max_rows] for start in range(0, len(rows), max_rows)]
    found = [logits_after(backbone, part, every=False).float().cpu() for part in parts]
    return torch.cat(found)


def _run(
    backbone: Backbone,
    rows: Sequence[Row],
    max_rows: int,
    told: Callable[[Row, TextChunk | None], None],
    report: Report,
) -> None:
    """Run rows to their ends; `told` of each what each step gave it."""
    waiting, running = deque(rows), set[Row]()
    batch = Batch(backbone)
    while waiting or running:
        joining = [waiting.popleft() for _ in range(min(max_rows - len(running), len(waiting)))]
        running.update(joining)
        for row, chunk in _step(batch, joining):
            told(row, chunk)
        running = {row for row in running if row.finish is None}
        batch.keep(running)
        report(sum(row.finish is not None for row in rows), len(rows))


def _step(batch: Batch, joining: Sequence[Row]) -> list[tuple[Row, TextChunk | None]]:
    batch.enter(joining)
    found = batch.step()
    if NO_TOKEN in found.values():
        raise ServiceError(
            "the model's logits are not finite; load it with another dtype, or choose a smaller "
            "steering coefficient"
        )
    # rows that came with their treatment get tokens, and nothing else
    return [(row, row.accept(token)) for row, token in found.items() if isinstance(token, int)]


def _rows(
    backbone: Backbone,
    prompts: Sequence[str],
    treatments: Sequence[Treatment],
    sampling: Sampling,
    monitor: Monitor | None = None,
) -> list[Row]:
    ends = end_tokens(backbone)
    rows = []
    for index, (prompt, treatment) in enumerate(zip(prompts, treatments, strict=True)):
        prompt_ids = encode(backbone.tokenizer, prompt)
        row = Row(
            prompt_ids,
            treatment,
            sampling,
            tokenizer=backbone.tokenizer,
            ends=ends,
            monitor=monitor,
        )
        if row.most_tokens > backbone.max_prompt_tokens:
            raise InvalidRequest(
                f"prompt {index} and its answer take up to {row.most_tokens} tokens, and the "
                f"context has {backbone.max_prompt_tokens}; lower `max_tokens`"
            )
        rows.append(row)
    return rows
