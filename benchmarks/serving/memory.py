"""Peak memory of one load above the loaded model, in a process of its own.

On a CPU the high-water mark of resident memory, from when the weights have been touched; on a GPU
what torch has allocated at most. In a process where others have run before, memory that they left
to the allocator would not be counted.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.serving.artefacts import random_bundle
from benchmarks.serving.load import Load
from benchmarks.serving.models import load as load_model
from benchmarks.serving.peers.catalogue import PEERS
from benchmarks.serving.peers.peer import Setting
from services.backbone.load import Backbone
from services.readout.bundle import Thresholds

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_RESET_PEAK = "5"


def peak_bytes(
    peer: str, model: str, options: argparse.Namespace, load: Load, thresholds: Thresholds
) -> int | None:
    """Of one peer and load.

    Returns:
        Bytes; None where this system does not tell (it is no Linux).
    """
    if options.device == "cpu" and not _CLEAR.exists():
        return None
    # libraries are imported once, before anything has run: what is forked from there is as clean as
    # a new interpreter, which would take seconds for each peer
    clean = get_context("forkserver")
    clean.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=clean) as processes:
        return processes.submit(_peak, peer, model, options, load, thresholds).result()


def _peak(
    peer: str, model: str, options: argparse.Namespace, load: Load, thresholds: Thresholds
) -> int:
    torch.set_num_threads(options.threads)
    backbone = load_model(model, options)
    _touch(backbone)
    before = _begin(options.device)
    setting = Setting(
        backbone,
        lambda n_blocks: load_model(model, options, n_blocks=n_blocks),
        random_bundle(backbone, thresholds),
        options.rows,
    )
    with closing(PEERS[peer](setting)) as answerer:
        answerer.run(load)
        return _end(options.device) - before


@torch.inference_mode()
def _touch(backbone: Backbone) -> None:
    """One token: weights that were never read may not be in memory yet."""
    backbone.model(input_ids=torch.full((1, 1), backbone.pad_id, device=backbone.device))


def _begin(device: str) -> int:
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    _CLEAR.write_text(_RESET_PEAK)
    return _resident("VmRSS")


def _end(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device != "cpu" else _resident("VmHWM")


def _resident(field: str) -> int:
    lines = _STATUS.read_text().splitlines()
    kibibytes = next(line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return int(kibibytes) * 1024
