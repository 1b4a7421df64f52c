"""Prompts to residuals, through the extractor that serving uses; cached by content."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recal.activation_cache import ActivationCache, CachedCell, Cell, Kept
from recal.languages import refuse_unknown_tag
from recal.prompts import Prompt
from services.backbone.buckets import buckets, tokens_of_a_pass
from services.backbone.chat import EncodedPrompt, encode_prompt
from services.backbone.load import Backbone
from services.gate.extract import residuals
from services.readout.place import READINGS, Place, Reading

_MOST_ROWS = 256
"""Prompts in one batch, so that a killed run loses few."""

Report = Callable[[int, int], None]
"""Called with prompts done and prompts in all."""


class Estimate(NamedTuple):
    """What a collection will take; the time is extrapolated from its first batch."""

    n_prompts: int
    n_cached: int
    """Of these, kept from before."""
    n_bytes: int
    """That the rest takes."""
    seconds: float
    """That the rest takes, the first batch included."""


class ResidualSource(Protocol):
    """Where residuals are when they are not in memory."""

    def read(self, place: Place, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """(len(rows), d_model) at one place."""


@dataclass(frozen=True, eq=False)
class Activations:
    """Residuals of labelled prompts at decoder blocks, in up to three readings."""

    prompts: tuple[Prompt, ...]
    layers: tuple[int, ...]
    """0-based decoder blocks, in the order of the second axis."""
    residuals: npt.NDArray[np.float32] | ResidualSource
    """(n_prompts, n_layers, d_model) of one reading, (n_prompts, n_layers, n_readings, d_model) of
    several; or what reads them from disk."""
    readings: tuple[Reading, ...] = ("last",)

    def __post_init__(self) -> None:
        if not isinstance(self.residuals, np.ndarray):
            return
        wanted = (len(self.prompts), len(self.layers), len(self.readings))
        shape = self.residuals.shape
        if (shape[:2] if len(shape) == 3 else shape[:3]) != wanted[: len(shape) - 1]:
            raise ValueError(
                f"residuals of shape {shape} do not belong to {wanted[0]} prompts at {wanted[1]} "
                f"layers in {wanted[2]} readings"
            )

    def at(
        self,
        layer: int,
        *,
        reading: Reading = "last",
        language: str | None = None,
        harmful: bool | None = None,
    ) -> npt.NDArray[np.float64]:
        """Residuals at one place, of one language and class where given.

        Returns:
            (n, d_model) float64, in the prompts' order.

        Raises:
            ValueError: the layer or reading was not collected, or no prompt matches.
        """
        if layer not in self.layers:
            raise ValueError(f"layer {layer} was not collected; these were: {self.layers}")
        if reading not in self.readings:
            raise ValueError(f"reading `{reading}` was not collected; these were: {self.readings}")
        rows = [
            i
            for i, p in enumerate(self.prompts)
            if (language is None or p.language == language)
            and (harmful is None or p.harmful == harmful)
        ]
        if not rows:
            kind = {None: "", True: "harmful ", False: "harmless "}[harmful]
            raise ValueError(f"no {kind}prompts of `{language}` were collected")
        return self._read(Place(layer, reading), rows).astype(np.float64)

    def subset(self, rows: Sequence[int]) -> Activations:
        """Some of the prompts with their residuals, in the given order."""
        prompts = tuple(self.prompts[row] for row in rows)
        if isinstance(self.residuals, np.ndarray):
            return replace(self, prompts=prompts, residuals=self.residuals[list(rows)])
        return replace(self, prompts=prompts, residuals=_Rows(self.residuals, tuple(rows)))

    def _read(self, place: Place, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        if not isinstance(self.residuals, np.ndarray):
            return self.residuals.read(place, rows)
        layer, reading = self.layers.index(place.layer), self.readings.index(place.reading)
        here = self.residuals[:, layer]
        return here[rows] if here.ndim == 2 else here[rows, reading]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some rows of another source."""

    source: ResidualSource
    rows: tuple[int, ...]

    def read(self, place: Place, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        """(len(rows), d_model) at one place."""
        return self.source.read(place, [self.rows[row] for row in rows])


def collect(
    backbone: Backbone,
    prompts: Sequence[Prompt],
    *,
    layers: Sequence[int] | None = None,
    cache: Path | None = None,
    dtype: torch.dtype | None = None,
    estimated: Callable[[Estimate], None] = lambda estimate: None,
    report: Report = lambda done, total: None,
) -> Activations:
    """All three readings of every prompt.

    Args:
        backbone: the model, with at least the blocks that are asked for.
        prompts: labelled prompts.
        layers: decoder blocks to read; all of them by default. With a cache all are read and kept
            whatever is asked for.
        cache: folder where results are kept under what decides them; None keeps them in memory.
        dtype: of the cache; None: the backbone's own, which loses nothing.
        estimated: called once, after the first batch, with what the whole takes.
        report: called after every batch with prompts done and prompts in all.

    Raises:
        ValueError: there are no prompts, one is longer than the context, its language is no tag,
            a residual is not finite (prompts are named by id), or the cache cannot be used.
    """
    if not prompts:
        raise ValueError("no prompts to collect activations from")
    for language in dict.fromkeys(prompt.language for prompt in prompts):
        refuse_unknown_tag(language)
    n_blocks = len(backbone.blocks)
    read = tuple(layers) if layers is not None else tuple(range(n_blocks))
    if cache is None:
        memory = _InMemory(len(prompts), read, backbone.identity.d_model)
        _run(backbone, prompts, memory, estimated, report)
        return Activations(tuple(prompts), read, memory.found, READINGS)
    own = dtype if dtype is not None else backbone.model.dtype
    on_disk = ActivationCache(cache, backbone.identity, n_layers=n_blocks, dtype=own)
    kept = _OnDisk(on_disk, prompts)
    _run(backbone, prompts, kept, estimated, report)
    return Activations(tuple(prompts), read, kept, READINGS)


def refuse_missing_class(prompts: Sequence[Prompt], languages: Sequence[str], split: str) -> None:
    """Check that every language has prompts of both classes.

    Args:
        prompts: of one split.
        languages: that are needed.
        split: its name, for the message.

    Raises:
        ValueError: a language lacks a class, or is not there at all.
    """
    there = {(prompt.language, prompt.harmful) for prompt in prompts}
    for harmful, kind in ((True, "harmful"), (False, "harmless")):
        if missing := [language for language in languages if (language, harmful) not in there]:
            raise ValueError(
                f"no {kind} {split} prompts of {', '.join(missing)}; give some, or name other "
                "languages"
            )


class _Keeper(Protocol):
    """Where a run puts what it reads."""

    layers: tuple[int, ...]

    def missing(self) -> list[list[int]]:
        """Rows that are still to be read, in groups that may share a batch."""

    def refuse_full(self, n_prompts: int) -> int:
        """Bytes that so many prompts take; an error where there is no room for them."""

    def put(self, rows: Sequence[int], encoded: Sequence[EncodedPrompt], found: Tensor) -> None:
        """Keep a batch: (n, n_layers, n_readings, d_model)."""


def _run(
    backbone: Backbone,
    prompts: Sequence[Prompt],
    keeper: _Keeper,
    estimated: Callable[[Estimate], None],
    report: Report,
) -> None:
    groups = keeper.missing()
    missing = [row for group in groups for row in group]
    n_cached = len(prompts) - len(missing)
    n_bytes = keeper.refuse_full(len(missing))
    encoded = {row: _encode(backbone, prompts[row]) for row in missing}
    most = tokens_of_a_pass(backbone.device)
    batches = [batch for group in groups for batch in _batches(group, encoded, most)]
    left = sum(_padded(batch, encoded) for batch in batches)
    if not batches:
        estimated(Estimate(len(prompts), n_cached, 0, 0.0))
        report(n_cached, len(prompts))
    for number, batch in enumerate(batches):
        started = time.monotonic()
        mine = [encoded[row] for row in batch]
        keeper.put(batch, mine, _read(backbone, [prompts[row] for row in batch], mine, keeper))
        if number == 0:
            seconds = (time.monotonic() - started) * left / _padded(batch, encoded)
            estimated(Estimate(len(prompts), n_cached, n_bytes, seconds))
        n_cached += len(batch)
        report(n_cached, len(prompts))


def _encode(backbone: Backbone, prompt: Prompt) -> EncodedPrompt:
    encoded = encode_prompt(backbone.tokenizer, prompt.text)
    limit = backbone.max_prompt_tokens
    if len(encoded.token_ids) > limit:
        raise ValueError(
            f"prompt `{prompt.id}` (`{prompt.language}`) has {len(encoded.token_ids)} tokens, "
            f"`{backbone.identity.name}` takes at most {limit}; shorten it or leave it out"
        )
    return encoded


def _batches(
    group: Sequence[int], encoded: dict[int, EncodedPrompt], max_tokens: int
) -> Iterator[list[int]]:
    lengths = [len(encoded[row].token_ids) for row in group]
    for bucket in buckets(lengths, max_tokens=max_tokens):
        for start in range(0, len(bucket), _MOST_ROWS):
            yield [group[i] for i in bucket[start : start + _MOST_ROWS]]


def _padded(batch: Sequence[int], encoded: dict[int, EncodedPrompt]) -> int:
    return len(batch) * max(len(encoded[row].token_ids) for row in batch)


def _read(
    backbone: Backbone,
    prompts: Sequence[Prompt],
    encoded: Sequence[EncodedPrompt],
    keeper: _Keeper,
) -> Tensor:
    places = [Place(layer, reading) for layer, reading in product(keeper.layers, READINGS)]
    found = residuals(backbone, encoded, places=places)
    finite = found.isfinite().all(dim=-1).all(dim=-1)
    if not bool(finite.all()):
        bad = prompts[finite.tolist().index(False)]
        raise ValueError(
            f"the residual of prompt `{bad.id}` (`{bad.language}`) is not finite; "
            "load the backbone with another dtype"
        )
    return found.reshape(len(prompts), len(keeper.layers), len(READINGS), -1)


class _InMemory:
    """Keeps a run's residuals in one array."""

    def __init__(self, n_prompts: int, layers: tuple[int, ...], d_model: int) -> None:
        self.layers = layers
        shape = (n_prompts, len(layers), len(READINGS), d_model)
        self.found = np.empty(shape, dtype=np.float32)

    def missing(self) -> list[list[int]]:
        return [list(range(len(self.found)))]

    def refuse_full(self, n_prompts: int) -> int:
        return int(self.found.nbytes)

    def put(self, rows: Sequence[int], encoded: Sequence[EncodedPrompt], found: Tensor) -> None:
        self.found[list(rows)] = found.numpy()


class _OnDisk:
    """Keeps a run's residuals in a cache, cell by cell, and reads them from there."""

    def __init__(self, cache: ActivationCache, prompts: Sequence[Prompt]) -> None:
        self.layers = tuple(range(cache.n_layers))
        self._cache = cache
        self._prompts = prompts
        self._cells: dict[Cell, CachedCell] = {}
        for prompt in prompts:
            cell = _cell_of(prompt)
            if cell not in self._cells:
                self._cells[cell] = cache.open(cell)

    def missing(self) -> list[list[int]]:
        groups: dict[Cell, dict[str, int]] = {}
        for row, prompt in enumerate(self._prompts):
            cell, digest = _cell_of(prompt), prompt.digest
            if digest not in self._cells[cell]:
                groups.setdefault(cell, {}).setdefault(digest, row)
        return [list(rows.values()) for rows in groups.values()]

    def refuse_full(self, n_prompts: int) -> int:
        wanted = n_prompts * self._cache.bytes_per_prompt()
        existing = next(p for p in (self._cache.folder, *self._cache.folder.parents) if p.exists())
        free = shutil.disk_usage(existing).free
        if wanted > free:
            raise ValueError(
                f"{n_prompts} prompts take {wanted / 1e9:.1f} GB, and `{existing}` has "
                f"{free / 1e9:.1f} GB free; choose another folder or fewer prompts"
            )
        return wanted

    def put(self, rows: Sequence[int], encoded: Sequence[EncodedPrompt], found: Tensor) -> None:
        kept = [
            Kept(prompt.id, prompt.digest, len(mine.token_ids), mine.instruction_end)
            for prompt, mine in zip((self._prompts[row] for row in rows), encoded, strict=True)
        ]
        self._cells[_cell_of(self._prompts[rows[0]])].add(kept, found)

    def read(self, place: Place, rows: Sequence[int]) -> npt.NDArray[np.float32]:
        by_cell: dict[Cell, list[int]] = {}
        for index, row in enumerate(rows):
            by_cell.setdefault(_cell_of(self._prompts[row]), []).append(index)
        parts, order = [], []
        for cell, indices in by_cell.items():
            digests = [self._prompts[rows[i]].digest for i in indices]
            parts.append(self._cells[cell].read(place, digests))
            order += indices
        found = np.empty((len(rows), parts[0].shape[1]), dtype=np.float32)
        found[order] = np.concatenate(parts)
        return found


def _cell_of(prompt: Prompt) -> Cell:
    return Cell(prompt.language, prompt.split, prompt.harmful)
