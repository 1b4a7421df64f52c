"""Digests that say which backbone this is; always of the whole checkpoint."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from services.errors import ArtefactRefused
from services.readout.bundle import BackboneIdentity

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"


def identify(
    directory: Path, *, name: str, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase
) -> BackboneIdentity:
    """Identity of the checkpoint in a directory.

    Raises:
        ArtefactRefused: there are no safetensors weights, or the tokenizer has no fast form.
    """
    text_config = config.get_text_config()
    return BackboneIdentity(
        name=name,
        architecture=config.architectures[0],
        d_model=text_config.hidden_size,
        n_layers=text_config.num_hidden_layers,
        weights_digest=weights_digest(directory),
        tokenizer_digest=tokenizer_digest(tokenizer),
        chat_template_digest=chat_template_digest(tokenizer),
    )


def weights_digest(directory: Path) -> str:
    """sha256 over the names and contents of configuration and weight files.

    Raises:
        ArtefactRefused: the weights are missing or not safetensors.
    """
    digest = hashlib.sha256()
    for name in sorted(["config.json", *_weight_files(directory)]):
        with (directory / name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 over the tokenizer as it works here, not over its file: libraries rebuild some.

    Raises:
        ArtefactRefused: the tokenizer has no fast form to serialise.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ArtefactRefused(
            f"the tokenizer `{type(tokenizer).__name__}` has no fast form (tokenizer.json); "
            "convert it"
        )
    content = json.loads(backend.to_str())
    # set per call, so not part of what the tokenizer is
    content.update(truncation=None, padding=None)
    return _sha256(content)


def chat_template_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """sha256 of the chat template's text, or of all of them where there are several."""
    template = tokenizer.chat_template
    if isinstance(template, str):
        return hashlib.sha256(template.encode()).hexdigest()
    return _sha256(template)


def _sha256(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _weight_files(directory: Path) -> set[str]:
    if (directory / _INDEX).is_file():
        index = json.loads((directory / _INDEX).read_text(encoding="utf-8"))
        names = set(index["weight_map"].values())
    else:
        names = {_SINGLE}
    if missing := sorted(name for name in names if not (directory / name).is_file()):
        raise ArtefactRefused(
            f"`{directory.name}` has no {', '.join(f'`{name}`' for name in missing)}; "
            "only complete safetensors checkpoints are loaded"
        )
    return names
