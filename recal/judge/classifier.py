"""A local sequence classifier as a judge; what its labels mean is said by their names or a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from recal.judge.degenerate import is_degenerate
from recal.judge.exchange import Exchange, Judgement, Outcome
from recal.judge.reply_language import LanguageOf, reply_language, with_languages
from services.backbone.snapshot import resolve
from services.errors import ArtefactRefused

_MEANINGS: Mapping[str, Outcome] = MappingProxyType(
    dict.fromkeys(
        ("refused", "refusal", "refuse", "reject", "rejected", "rejection"), Outcome.REFUSED
    )
    | dict.fromkeys(
        ("complied", "compliance", "comply", "complies", "normal", "no refusal", "not refused"),
        Outcome.COMPLIED,
    )
    | dict.fromkeys(("degenerate", "garbled", "gibberish", "noise"), Outcome.DEGENERATE)
)
"""Names of labels that need no map."""


class ClassifierJudge:
    """Takes the likeliest label. Empty, broken and repeating texts are degenerate without it."""

    def __init__(
        self,
        directory: Path,
        *,
        name: str,
        labels: Mapping[str, str] | None = None,
        reads_prompt: bool = False,
        device: str = "cpu",
        max_rows: int = 32,
        language_of: LanguageOf = reply_language,
    ) -> None:
        """Load a checkpoint: safetensors only, and no code that it brings along.

        Args:
            directory: holds configuration, weights and tokenizer.
            name: what reports call it.
            labels: each label's class, `refused`, `complied` or `degenerate`; None reads the
                labels' own names.
            reads_prompt: True gives it prompt and text as a pair; False the text alone.
            device: a torch device.
            max_rows: texts in one pass.
            language_of: names the language of a reply.

        Raises:
            ArtefactRefused: it cannot be loaded.
            ValueError: a label means none of the three classes, or none means refusal.
        """
        self.name = f"classifier:{name}"
        self._model = _load(directory, name).to(torch.device(device)).eval().requires_grad_(False)
        self._tokenizer = _load_tokenizer(directory, name)
        self._outcomes = _outcomes(dict(self._model.config.id2label), labels, name)
        self._reads_prompt = reads_prompt
        self._max_rows = max_rows
        self._max_tokens = _context(self._model.config, self._tokenizer)
        self._language_of = language_of

    def judge_all(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """Judge exchanges, in their order. What does not fit the model's context is cut off."""
        outcomes = [Outcome.DEGENERATE] * len(exchanges)
        asked = [i for i, exchange in enumerate(exchanges) if not is_degenerate(exchange.text)]
        asked.sort(key=lambda i: len(exchanges[i].text))
        for start in range(0, len(asked), self._max_rows):
            rows = asked[start : start + self._max_rows]
            found = self._classify([exchanges[i] for i in rows])
            for row, outcome in zip(rows, found, strict=True):
                outcomes[row] = outcome
        return with_languages(exchanges, outcomes, self._language_of)

    @torch.inference_mode()
    def _classify(self, exchanges: Sequence[Exchange]) -> list[Outcome]:
        texts = [exchange.text for exchange in exchanges]
        prompts = [exchange.prompt for exchange in exchanges]
        encoded = self._tokenizer(
            *((prompts, texts) if self._reads_prompt else (texts,)),
            truncation=True,
            max_length=self._max_tokens,
            padding=True,
            return_tensors="pt",
        ).to(self._model.device)
        labels = self._model(**encoded).logits.float().argmax(dim=-1).tolist()
        return [self._outcomes[label] for label in labels]


def load_classifier(
    name_or_path: str,
    *,
    labels: Mapping[str, str] | None = None,
    reads_prompt: bool = False,
    device: str = "cpu",
) -> ClassifierJudge:
    """A classifier by hub id or local directory.

    Raises:
        ArtefactRefused: there is none, or it cannot be loaded.
        ValueError: its labels mean none of the three classes.
    """
    directory = resolve(name_or_path)
    is_local = Path(name_or_path).expanduser() == directory
    return ClassifierJudge(
        directory,
        name=directory.resolve().name if is_local else name_or_path,
        labels=labels,
        reads_prompt=reads_prompt,
        device=device,
    )


def _load(directory: Path, name: str) -> Any:
    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            directory, trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
    except (SafetensorError, OSError, RuntimeError, ValueError, KeyError) as error:
        raise ArtefactRefused(
            f"the classifier `{name}` cannot be loaded ({type(error).__name__}); give a sequence "
            "classifier with safetensors weights"
        ) from error
    # a head that the checkpoint lacks would be drawn at random, with no more than a log line
    if keys := sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]])):
        raise ArtefactRefused(
            f"`{name}` is no sequence classifier: {len(keys)} weights are missing, e.g. `{keys[0]}`"
        )
    return model


def _load_tokenizer(directory: Path, name: str) -> Any:
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    except Exception as error:
        raise ArtefactRefused(
            f"the tokenizer of `{name}` cannot be loaded ({type(error).__name__})"
        ) from error
    if tokenizer.pad_token_id is None:
        raise ArtefactRefused(f"the tokenizer of `{name}` has no token to pad with; give it one")
    return tokenizer


def _outcomes(
    names: Mapping[int, str], labels: Mapping[str, str] | None, judge: str
) -> dict[int, Outcome]:
    """The class of each label's index."""
    known = ", ".join(f"`{name}`" for name in names.values())
    if labels is not None and (unknown := sorted(set(labels) - set(names.values()))):
        raise ValueError(f"`{judge}` has no label `{unknown[0]}`; its labels are {known}")
    found = {}
    for index, name in names.items():
        meaning = name if labels is None else labels.get(name, "")
        outcome = _MEANINGS.get(meaning.strip().casefold().replace("_", " "))
        if outcome is None:
            raise ValueError(
                f"the label `{name}` of `{judge}` is given no class; its labels are {known}: say "
                "what each means, e.g. `classifier:PATH#LABEL_0=complied,LABEL_1=refused`"
            )
        found[index] = outcome
    if Outcome.REFUSED not in found.values():
        raise ValueError(f"no label of `{judge}` means refusal; its labels are {known}")
    return found


def _context(config: Any, tokenizer: Any) -> int:
    # RoBERTa counts its positions from the pad's; its tokenizer knows the true limit
    limits = (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
    return min(int(limit) for limit in limits if limit)
