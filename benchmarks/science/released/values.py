"""Values of the code released with arXiv 2606.01196, from its full folder or from a small copy.

The copy keeps what can be kept in a few kB: class means in place of rows (a direction depends on
nothing else), some columns of the projector, two rows of the hook. `python -m` of this module
writes it anew from the full folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recal.maths.two_class import TwoClass

FULL = Path(__file__).resolve().parents[4] / "shared" / "golden"
COPY = Path(__file__).with_name("values.npz")
TARGETS = ("tgt0", "tgt1", "tgt2")
N_HARMFUL_SOURCE = 40
Array = NDArray[Any]


@dataclass(frozen=True)
class Golden:
    """Inputs and outputs; flat arrays, so that they can be saved without pickle."""

    source_harmful: Array
    """(languages, n, d) rows; in the copy n = 1, the mean."""
    source_harmless: Array
    directions: Array
    """(languages, d)."""
    pooled_direction: Array
    projector_columns: Array
    """(d, columns) of B·Bᵀ."""
    pooled_harmful: Array
    """(languages * n,) projections of all rows on the pooled direction."""
    pooled_harmless: Array
    coefficient: Array
    """(1,) g."""
    source_projections: Array
    """(languages, 76, rank) on a basis, harmful rows first."""
    source_logits: Array
    """(languages, 76)."""
    source_threshold: Array
    """(1,)."""
    target_projections: Array
    """(targets, 160, rank), harmful rows first."""
    target_logits: Array
    """(targets, 160)."""
    few_k: Array
    """(cases,) examples per class."""
    few_harmful: Array
    """(cases, 8) logits of the examples; NaN where k < 8."""
    few_harmless: Array
    few_threshold: Array
    """(cases,)."""
    few_f1: Array
    hook_prefill: Array
    """(rows, 7, d)."""
    hook_prefill_out: Array
    hook_decode: Array
    """(rows, 1, d)."""
    hook_decode_out: Array
    hook_harmful: Array
    """(rows,) bool."""

    def source(self) -> dict[str, TwoClass]:
        pairs = zip(self.source_harmful, self.source_harmless, strict=True)
        return {f"src{i}": TwoClass(*pair) for i, pair in enumerate(pairs)}


def from_copy() -> Golden:
    with np.load(COPY, allow_pickle=False) as arrays:
        return Golden(**arrays)


def from_folder() -> Golden:
    scalars = json.loads((FULL / "public.json").read_text())
    with np.load(FULL / "public.npz", allow_pickle=False) as arrays:
        rows = {name: arrays[name] for name in arrays}
    harmful = np.stack([rows[f"act/src{i}/harmful"] for i in range(10)])
    harmless = np.stack([rows[f"act/src{i}/harmless"] for i in range(10)])
    on_basis = np.linalg.svd(rows["directions"], full_matrices=False)[2].T
    targets = np.stack(
        [np.vstack([rows[f"act/{t}/harmful"], rows[f"act/{t}/harmless"]]) for t in TARGETS]
    )
    return Golden(
        source_harmful=harmful,
        source_harmless=harmless,
        directions=rows["directions"],
        pooled_direction=rows["pooled_direction"],
        projector_columns=rows["basis_projector"],
        pooled_harmful=(harmful @ rows["pooled_direction"]).ravel(),
        pooled_harmless=(harmless @ rows["pooled_direction"]).ravel(),
        coefficient=np.array([scalars["alpha_q75_q25"]]),
        source_projections=np.concatenate([harmful, harmless], axis=1) @ on_basis,
        source_logits=rows["source/logits"].reshape(10, -1),
        source_threshold=np.array([scalars["source_threshold"]]),
        target_projections=targets @ on_basis,
        target_logits=np.stack([rows[f"zero_shot_logits/{t}"] for t in TARGETS]),
        **_few_shot(rows, scalars),
        hook_prefill=rows["hook/residual_prefill"],
        hook_prefill_out=rows["hook/out_prefill"],
        hook_decode=rows["hook/residual_decode"],
        hook_decode_out=rows["hook/out_decode"],
        hook_harmful=rows["hook/harmful_mask"],
    )


def _few_shot(rows: dict[str, Array], scalars: dict[str, Any]) -> dict[str, Array]:
    cases = [(t, k, scalars["targets"][t][str(k)]) for t in TARGETS for k in scalars["budgets"]]
    few = {
        "few_k": np.array([k for _, k, _ in cases]),
        "few_threshold": np.array([case["threshold"] for _, _, case in cases]),
        "few_f1": np.array([case["fit_f1"] for _, _, case in cases]),
    }
    for label, first in (("harmful", 0), ("harmless", 80)):
        table = np.full((len(cases), 8), np.nan)
        for i, (target, k, case) in enumerate(cases):
            logits = rows[f"fewshot_logits/{target}/{k}"][first : first + 80]
            table[i, :k] = logits[case[f"{label}_idx"]]
        few[f"few_{label}"] = table
    return few


def write_copy() -> None:
    full = from_folder()
    one_of_each = [int(np.argmax(full.hook_harmful)), int(np.argmin(full.hook_harmful))]
    small = asdict(full) | {
        "source_harmful": full.source_harmful.astype(float).mean(axis=1, keepdims=True),
        "source_harmless": full.source_harmless.astype(float).mean(axis=1, keepdims=True),
        "projector_columns": full.projector_columns[:, :4],
        "source_projections": full.source_projections.astype(np.float16),
        "target_projections": full.target_projections[:1].astype(np.float16),
        "target_logits": full.target_logits[:1],
    }
    hooks = [name for name in small if name.startswith("hook_")]
    np.savez_compressed(COPY, **(small | {name: small[name][one_of_each] for name in hooks}))


if __name__ == "__main__":
    write_copy()
