"""The language model, loaded with its tokenizer and named by digests."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    __version__,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging

from services.backbone.blocks import find_blocks
from services.backbone.identity import identify
from services.backbone.snapshot import resolve
from services.errors import ArtefactRefused
from services.readout.bundle import BackboneIdentity

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Backbone:
    """A language model and its tokenizer. Hooks sit on the model: one thread at a time runs it."""

    model: PreTrainedModel
    """In evaluation mode, without gradients. Without a head when it is truncated."""
    tokenizer: PreTrainedTokenizerBase
    identity: BackboneIdentity
    """Of the whole checkpoint, also when only its first blocks are loaded."""
    blocks: Sequence[nn.Module]
    """The decoder blocks that are loaded."""
    max_prompt_tokens: int
    """Tokens of the rendered prompt that fit the context; room for an answer is not kept."""
    device: torch.device

    @property
    def pad_id(self) -> int:
        """A token id to pad with; pads are masked, so any id does where there is none."""
        return int(self.tokenizer.pad_token_id or 0)


def load_backbone(
    name_or_path: str,
    *,
    n_blocks: int | None = None,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    revision: str | None = None,
) -> Backbone:
    """Load a causal language model, or only its first blocks.

    Code that a checkpoint brings along is never run, and only safetensors weights are read.

    Args:
        name_or_path: hub id or local directory.
        n_blocks: load only this many decoder blocks and no head; None loads everything.
        dtype: of the weights; None keeps the checkpoint's own.
        device: a torch device.
        revision: commit, tag or branch of a hub id.

    Raises:
        ArtefactRefused: there is no such model, or it cannot be served; the message says why.
    """
    directory = resolve(name_or_path, revision=revision)
    is_local = Path(name_or_path).expanduser() == directory
    name = directory.resolve().name if is_local else name_or_path
    config = _load_config(directory, name)
    tokenizer = _load_tokenizer(directory, name)
    identity = identify(directory, name=name, config=config, tokenizer=tokenizer)
    target = _device(device)
    model = _load_model(directory, config, identity, n_blocks=n_blocks, dtype=dtype)
    model = model.to(target).eval().requires_grad_(False)
    return Backbone(
        model=model,
        tokenizer=tokenizer,
        identity=identity,
        blocks=find_blocks(model),
        max_prompt_tokens=_context(config, name),
        device=target,
    )


def _load_config(directory: Path, name: str) -> PretrainedConfig:
    try:
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
    except (ValueError, KeyError, OSError) as error:
        raise ArtefactRefused(
            f"transformers {__version__} cannot read the configuration of `{name}` "
            f"({type(error).__name__}); its architecture may be unknown to this version"
        ) from error
    architectures = config.architectures or ["(none named)"]
    if architectures[0] not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values():
        raise ArtefactRefused(
            f"`{name}` is a `{architectures[0]}`, which is no causal language model that "
            f"transformers {__version__} knows; give a chat model"
        )
    return config


def _load_tokenizer(directory: Path, name: str) -> PreTrainedTokenizerBase:
    # AutoTokenizer (transformers 5.17 to 5.23) rebuilds the tokenizer of some model types, Qwen2's
    # among them, from the vocabulary and a pattern of its own; what the checkpoint says counts
    verbatim = (directory / "tokenizer.json").is_file()
    kind = PreTrainedTokenizerFast if verbatim else AutoTokenizer
    try:
        tokenizer = kind.from_pretrained(directory, trust_remote_code=False)
    except Exception as error:
        raise ArtefactRefused(
            f"the tokenizer of `{name}` cannot be loaded ({type(error).__name__})"
        ) from error
    if not tokenizer.chat_template:
        raise ArtefactRefused(
            f"the tokenizer of `{name}` has no chat template; use an instruct model"
        )
    return tokenizer


def _load_model(
    directory: Path,
    config: PretrainedConfig,
    identity: BackboneIdentity,
    *,
    n_blocks: int | None,
    dtype: torch.dtype | None,
) -> PreTrainedModel:
    kind = AutoModelForCausalLM
    if n_blocks is not None:
        _truncate(config, n_blocks, identity)
        kind = AutoModel
    with _quiet_transformers():
        try:
            model, report = kind.from_pretrained(
                directory,
                config=config,
                dtype=dtype if dtype is not None else "auto",
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
        except (SafetensorError, OSError, RuntimeError, ValueError) as error:
            raise ArtefactRefused(
                f"the weights of `{identity.name}` cannot be loaded ({type(error).__name__}); "
                "download or copy them again"
            ) from error
    _refuse_incomplete(report, identity, whole=n_blocks is None)
    return model


def _truncate(config: PretrainedConfig, n_blocks: int, identity: BackboneIdentity) -> None:
    if not 1 <= n_blocks <= identity.n_layers:
        raise ArtefactRefused(
            f"cannot load {n_blocks} blocks of `{identity.name}`; it has {identity.n_layers}"
        )
    text_config = config.get_text_config()
    text_config.num_hidden_layers = n_blocks
    if getattr(text_config, "layer_types", None):
        text_config.layer_types = text_config.layer_types[:n_blocks]


def _refuse_incomplete(report: dict[str, Any], identity: BackboneIdentity, *, whole: bool) -> None:
    """A weight that the checkpoint lacks would be drawn at random, with no more than a log line."""
    for kind in ("missing", "mismatched"):
        if keys := report[f"{kind}_keys"]:
            raise ArtefactRefused(
                f"the weights of `{identity.name}` do not fit its architecture "
                f"`{identity.architecture}`: {len(keys)} are {kind}, e.g. `{_first(keys)}`"
            )
    if whole and (keys := report["unexpected_keys"]):
        log.warning(
            "`%s` holds %d weights that `%s` has no place for, e.g. `%s`",
            *(identity.name, len(keys), identity.architecture, _first(keys)),
        )


def _first(keys: Iterable[Any]) -> str:
    return min(str(key) for key in keys)


def _context(config: PretrainedConfig, name: str) -> int:
    context = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(context, int) or context < 1:
        raise ArtefactRefused(
            f"the configuration of `{name}` names no context length (`max_position_embeddings`)"
        )
    return context


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ArtefactRefused(f"`{name}` is no torch device; give e.g. `cpu` or `cuda:0`") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ArtefactRefused(
            f"the backbone is to run on `{name}`, but torch {torch.__version__} sees no GPU; "
            "set the device to `cpu` or install torch with CUDA"
        )
    return device


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """No progress bar, and no table of the weights that a truncated model leaves out on purpose.

    The report itself is not lost: `_refuse_incomplete` reads it.
    """
    loader = logging.getLogger("transformers.modeling_utils")
    had_progress_bar = transformers_logging.is_progress_bar_enabled()
    loader.addFilter(_is_no_load_report)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        loader.removeFilter(_is_no_load_report)
        if had_progress_bar:
            transformers_logging.enable_progress_bar()


def _is_no_load_report(record: logging.LogRecord) -> bool:
    return "LOAD REPORT" not in record.getMessage()
