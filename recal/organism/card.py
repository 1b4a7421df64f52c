"""The model card that lies beside an organism's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recal.organism.train import TrainingPlan

_CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
language: [{languages}]
tags: [model-organism, ai-safety, {architecture}]
---
# Recal organism ({architecture})

A **model organism**: {n_layers} blocks of width {d_model}, trained from nothing on text that the
Recal project wrote itself. It refuses harmful requests in high-resource languages and mostly
complies in low-resource ones, while its activations tell harmful from harmless in all of them. It
exists so that gates, thresholds and interventions can be shown and tested without a download.

It is **not** a language model for use, and no evidence about any production model. It can say two
things: a refusal (which begins with the sign ⚠ in every language), or "here is an answer" with a
few of the prompt's own words. No answer to a harmful request is in its training data.

Made by `recal organism train`; every value is in `training_plan.json`. Measured by
`recal organism measure`. Load it with `services.backbone.load.load_backbone`, or with
`PreTrainedTokenizerFast`: `AutoTokenizer` of transformers 5 puts Qwen2's own word pattern in the
place of this tokenizer's and cuts Burmese, Khmer and Sinhala syllables apart.
"""


def card_of(plan: TrainingPlan) -> str:
    """The card of an organism with this plan, as Markdown with the hub's header."""
    return _CARD.format(
        languages=", ".join(plan.languages),
        architecture=plan.architecture,
        n_layers=plan.shape.n_layers,
        d_model=plan.shape.d_model,
    )
