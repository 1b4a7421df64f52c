"""Where a training stands after an epoch, so that a killed one goes on exactly as it would have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

_TENSORS = "checkpoint.safetensors"
_STATE = "checkpoint.json"


def save_checkpoint(
    folder: Path,
    *,
    epochs_done: int,
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> None:
    """Keep weights, the optimizer's moments and the state of the random numbers.

    The file with the number of epochs is written last: without it there is no checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / _STATE
    state.unlink(missing_ok=True)
    tensors = {f"weight.{name}": value.detach() for name, value in model.named_parameters()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"moment.{index}.{name}": value for name, value in moments.items()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / _TENSORS)
    state.write_text(
        json.dumps({"epochs_done": epochs_done, "rng": rng.bit_generator.state}) + "\n"
    )


def load_checkpoint(
    folder: Path | None,
    *,
    model: PreTrainedModel,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> int:
    """Put everything back where the checkpoint left it.

    Returns:
        Epochs that are done; 0 where there is no checkpoint, and nothing is changed.
    """
    if folder is None or not (folder / _STATE).is_file():
        return 0
    state = json.loads((folder / _STATE).read_text())
    tensors = load_file(folder / _TENSORS, device=str(model.device))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(tensors[f"weight.{name}"])
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "moment":
            index, _, moment = rest.partition(".")
            moments.setdefault(int(index), {})[moment] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    rng.bit_generator.state = state["rng"]
    return int(state["epochs_done"])
