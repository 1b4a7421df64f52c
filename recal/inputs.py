"""What the offline commands work on: a backbone from the settings, and labelled prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from recal.judge.named import judge_of as judge_of
from recal.languages import ALL
from recal.organism.corpus import corpus_prompts
from recal.prompts import Prompt, load_jsonl, refuse_overlap
from services.backbone.load import Backbone, load_backbone
from services.settings import BackboneSettings, Settings, load_settings

CORPUS = "corpus"
"""Name of the organism's own corpus, where a file of prompts is asked for."""

_DTYPES = {
    "auto": None,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def settings_of(config: Path | None, model: str | None) -> Settings:
    """The settings, with the backbone that the command line names.

    Raises:
        SettingsError: the file or a variable cannot be used.
    """
    settings = load_settings(config)
    if model is None:
        return settings
    backbone = settings.backbone.model_copy(update={"name_or_path": model})
    return settings.model_copy(update={"backbone": backbone})


def whole_backbone(settings: BackboneSettings, *, threads: int) -> Backbone:
    """Load the whole model, and set torch's threads on purpose.

    Raises:
        ArtefactRefused: it cannot be loaded.
    """
    torch.set_num_threads(threads)
    return load_backbone(
        settings.name_or_path,
        dtype=_DTYPES[settings.dtype],
        device=settings.device,
        revision=settings.revision,
    )


def prompts_from(source: str, languages: Sequence[str] = ALL) -> list[Prompt]:
    """Labelled prompts from a file of JSON lines, or the organism's corpus.

    Raises:
        ValueError: the file is not of the form, or splits overlap.
    """
    if source == CORPUS:
        return corpus_prompts(languages)
    prompts = load_jsonl(Path(source))
    refuse_overlap(prompts)
    return prompts
