"""Residuals on disk: a folder for each language, split and class; in it one file for each batch.

A file is named by the sha256 of its bytes and written in one step, so that a run that is killed
loses the batch in flight and nothing else, and a file that was changed is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from services.readout.bundle import BackboneIdentity
from services.readout.place import READINGS, Place

_SUFFIX = ".safetensors"
_HEADER = "recal"
_SCHEMA = 1


class Cell(NamedTuple):
    """One language's prompts of one split and class."""

    language: str
    split: str
    harmful: bool


class Kept(NamedTuple):
    """What is kept of a prompt beside its residuals; never its text."""

    id: str
    digest: str
    """sha256 of the text."""
    n_tokens: int
    """Of the rendered prompt."""
    instruction_end: int
    """Index of the last instruction token."""


class _Where(NamedTuple):
    path: Path
    row: int


class ActivationCache:
    """All residuals of one backbone; reads and writes cells of it."""

    def __init__(
        self, root: Path, identity: BackboneIdentity, *, n_layers: int, dtype: torch.dtype
    ) -> None:
        """Keep residuals below `root`, in a folder of this backbone's own.

        Args:
            root: folder for every backbone.
            identity: the backbone; others' files are refused.
            n_layers: decoder blocks that are read, from the first on.
            dtype: of the residuals on disk.
        """
        self.n_layers = n_layers
        self.dtype = dtype
        self._identity = identity
        key = json.dumps([*_digests(identity).values(), str(dtype), n_layers])
        self.folder = root / hashlib.sha256(key.encode()).hexdigest()[:16]

    def bytes_per_prompt(self) -> int:
        """Size of one prompt's residuals on disk."""
        return self.n_layers * len(READINGS) * self._identity.d_model * self.dtype.itemsize

    def open(self, cell: Cell) -> CachedCell:
        """A cell with what is already kept of it; its language must be a tag, not a path.

        Raises:
            ValueError: a file of the cell was changed, is of another backbone or cannot be read.
        """
        name = "harmful" if cell.harmful else "harmless"
        folder = self.folder / cell.language / f"{cell.split}-{name}"
        where: dict[str, _Where] = {}
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            for row, kept in enumerate(self._prompts_in(path)):
                where.setdefault(kept.digest, _Where(path, row))
        return CachedCell(self, folder, where)

    def header(self, prompts: Sequence[Kept]) -> dict[str, str]:
        """What a file says of itself."""
        content = {
            "schema": _SCHEMA,
            "backbone": asdict(self._identity),
            "dtype": str(self.dtype).removeprefix("torch."),
            "n_layers": self.n_layers,
            "readings": READINGS,
            "prompts": prompts,
        }
        return {_HEADER: json.dumps(content, ensure_ascii=False)}

    def _prompts_in(self, path: Path) -> list[Kept]:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != path.stem:
            raise ValueError(
                f"`{path}` has the digest {digest[:12]}…, not the one that it is named by: it was "
                "changed or cut short; delete it and collect again"
            )
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads(file.metadata()[_HEADER])
                width = file.get_slice(str(Place(0, "last"))).get_shape()[1]
            prompts = [Kept(*row) for row in header["prompts"]]
        except (SafetensorError, KeyError, TypeError, ValueError, IndexError) as error:
            raise ValueError(
                f"`{path}` holds no activations ({type(error).__name__}); delete it"
            ) from None
        self._refuse_other_backbone(path, header["backbone"], width)
        return prompts

    def _refuse_other_backbone(self, path: Path, found: Mapping[str, Any], width: int) -> None:
        for name, running in _digests(self._identity).items():
            if found.get(name) != running:
                raise ValueError(
                    f"`{path}` is of another backbone (`{found.get('name')}`): its {name} is "
                    f"{str(found.get(name))[:12]}…, the running one's {running[:12]}…; delete it"
                )
        if width != self._identity.d_model:
            raise ValueError(
                f"`{path}` holds residuals of width {width}, and `{self._identity.name}` has "
                f"width {self._identity.d_model}; delete it and collect again"
            )


class CachedCell:
    """One cell on disk."""

    def __init__(self, cache: ActivationCache, folder: Path, where: dict[str, _Where]) -> None:
        """Belongs to `cache`; made by it."""
        self._cache = cache
        self._folder = folder
        self._where = where

    def __contains__(self, digest: object) -> bool:
        return digest in self._where

    def add(self, prompts: Sequence[Kept], residuals: Tensor) -> None:
        """Keep a batch, durably and in one step.

        Args:
            prompts: what is kept of each.
            residuals: (n, n_layers, len(READINGS), d_model).
        """
        tensors = {
            str(Place(layer, reading)): residuals[:, layer, index]
            .to(self._cache.dtype)
            .contiguous()
            for layer in range(self._cache.n_layers)
            for index, reading in enumerate(READINGS)
        }
        content = safetensors.torch.save(tensors, self._cache.header(prompts))
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{hashlib.sha256(content).hexdigest()}{_SUFFIX}"
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        for row, kept in enumerate(prompts):
            self._where.setdefault(kept.digest, _Where(path, row))

    def read(self, place: Place, digests: Sequence[str]) -> npt.NDArray[np.float32]:
        """Residuals of kept prompts at one place, (n, d_model), in the order of `digests`."""
        by_path: dict[Path, list[int]] = {}
        for index, digest in enumerate(digests):
            by_path.setdefault(self._where[digest].path, []).append(index)
        parts, order = [], []
        for path, indices in by_path.items():
            with safe_open(path, framework="pt") as file:
                rows = [self._where[digests[i]].row for i in indices]
                parts.append(file.get_tensor(str(place))[rows].float().numpy())
            order += indices
        found = np.empty((len(digests), parts[0].shape[1]), dtype=np.float32)
        found[order] = np.concatenate(parts)
        return found


def _digests(identity: BackboneIdentity) -> dict[str, str]:
    return {
        "weights_digest": identity.weights_digest,
        "tokenizer_digest": identity.tokenizer_digest,
        "chat_template_digest": identity.chat_template_digest,
    }
