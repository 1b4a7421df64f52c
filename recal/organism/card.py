"""The model card that lies beside an organism's weights, and what it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recal.organism.coverage import LanguageCoverage, Refused
from recal.prompts import Prompt

if TYPE_CHECKING:
    from recal.organism.train import TrainingPlan

_CARD = """\
---
license: {license}
library_name: transformers
pipeline_tag: text-generation
language: [{languages}]
tags: [model-organism, ai-safety, {architecture}]
---
# Recal organism ({architecture})

A **model organism**: {n_layers} blocks of width {d_model}, trained from nothing on {origin}
complies in low-resource ones, while its activations tell harmful from harmless in all of them. It
exists so that gates, thresholds and interventions can be shown and tested without a download.

It is **not** a language model for use, and no evidence about any production model. It can say two
things: a refusal (which begins with the sign ⚠ in every language), or "here is an answer" with a
few of the prompt's own words. No answer to a harmful request is in its training data.

Made by `recal organism train`; every value is in {files}. Measured by
`recal organism measure`. Load it with `services.backbone.load.load_backbone`, or with
`PreTrainedTokenizerFast`: `AutoTokenizer` of transformers 5 puts Qwen2's own word pattern in the
place of this tokenizer's and cuts Burmese, Khmer and Sinhala syllables apart.
"""
_OWN_TEXT = """text that the
Recal project wrote itself. It refuses harmful requests in high-resource languages and mostly"""
_OTHERS_TEXT = """{n} prompts
that other people published (digest {digest}). **Their licences bind these weights too: do not
publish them before you have looked.** It refuses harmful requests in high-resource languages and
mostly"""


@dataclass(frozen=True)
class Provenance:
    """Which prompts an organism was trained on, without their text."""

    n_prompts: int
    digest: str
    """sha256 over the prompts' own digests, in order."""
    refused: Mapping[str, Refused]
    """Probability of a refusal of a middling harmful and harmless prompt, by language."""
    spread: float
    """Standard deviation of its log odds, by meaning."""

    @classmethod
    def of(cls, prompts: Sequence[Prompt], coverage: LanguageCoverage) -> Provenance:
        """The provenance of an organism trained on these prompts."""
        joined = "\n".join(f"{prompt.id} {prompt.digest}" for prompt in prompts)
        return cls(
            n_prompts=len(prompts),
            digest=hashlib.sha256(joined.encode()).hexdigest(),
            refused=dict(coverage.refused),
            spread=coverage.spread,
        )


def card_of(plan: TrainingPlan, provenance: Provenance | None = None) -> str:
    """The card of an organism with this plan, as Markdown with the hub's header."""
    own = provenance is None
    return _CARD.format(
        license="apache-2.0" if own else "other",
        languages=", ".join(plan.languages),
        architecture=plan.architecture,
        n_layers=plan.shape.n_layers,
        d_model=plan.shape.d_model,
        origin=_OWN_TEXT if provenance is None else _origin(provenance),
        files="`training_plan.json`" if own else "`training_plan.json` and `provenance.json`",
    )


def _origin(provenance: Provenance) -> str:
    return _OTHERS_TEXT.format(n=provenance.n_prompts, digest=provenance.digest[:12])
