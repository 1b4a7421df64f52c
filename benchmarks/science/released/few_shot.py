"""The released procedure's few-shot gates, from its full folder or from a small copy.

The copy keeps projections on the basis, on which everything depends, of the ten source languages
and one target. `python -m` of this module writes it anew from the full folder.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.science.released.values import FULL, TARGETS, Array
from recal.maths.two_class import TwoClass

COPY = Path(__file__).with_name("few_shot.npz")
BUDGETS = (1, 2, 4, 8)
_N_HARMFUL_SOURCE, _N_HARMFUL_TARGET = 40, 80


@dataclass(frozen=True)
class FewShot:
    """Residuals in, gates out; in the copy residuals are their projections on the basis."""

    source: Array
    """(10, 76, d), harmful rows first."""
    targets: Array
    """(targets, 160, d), harmful rows first."""
    zero_logits: Array
    """(targets, 160) at k = 0."""
    zero_threshold: Array
    """(1,)."""
    logits: Array
    """(targets, budgets, 160)."""
    threshold: Array
    """(targets, budgets)."""
    f1: Array
    """(targets, budgets), on the examples themselves."""
    harmful: Array
    """(targets, budgets, 8) rows of the examples among the 80; -1 behind the k-th."""
    harmless: Array

    def source_languages(self) -> dict[str, TwoClass]:
        n = _N_HARMFUL_SOURCE
        tables = self.source.astype(np.float64)
        return {f"src{i}": TwoClass(rows[:n], rows[n:]) for i, rows in enumerate(tables)}

    def examples(self, target: int, budget: int) -> TwoClass:
        rows = self.targets[target].astype(np.float64)
        harmful, harmless = (
            taken[target, budget][: BUDGETS[budget]] for taken in (self.harmful, self.harmless)
        )
        return TwoClass(rows[:_N_HARMFUL_TARGET][harmful], rows[_N_HARMFUL_TARGET:][harmless])


def from_copy() -> FewShot:
    with np.load(COPY, allow_pickle=False) as arrays:
        return FewShot(**arrays)


def from_folder() -> FewShot:
    scalars = json.loads((FULL / "public.json").read_text())
    with np.load(FULL / "public.npz", allow_pickle=False) as arrays:
        rows = {name: arrays[name] for name in arrays}

    def residuals(language: str) -> Array:
        return np.vstack([rows[f"act/{language}/{kind}"] for kind in ("harmful", "harmless")])

    def taken(kind: str) -> Array:
        table = np.full((len(TARGETS), len(BUDGETS), max(BUDGETS)), -1)
        for i, target in enumerate(TARGETS):
            for j, k in enumerate(BUDGETS):
                table[i, j, :k] = scalars["targets"][target][str(k)][f"{kind}_idx"]
        return table

    def numbers(name: str) -> Array:
        return np.array([[scalars["targets"][t][str(k)][name] for k in BUDGETS] for t in TARGETS])

    return FewShot(
        source=np.stack([residuals(f"src{i}") for i in range(10)]),
        targets=np.stack([residuals(target) for target in TARGETS]),
        zero_logits=np.stack([rows[f"zero_shot_logits/{target}"] for target in TARGETS]),
        zero_threshold=np.array([scalars["source_threshold"]]),
        logits=np.array([[rows[f"fewshot_logits/{t}/{k}"] for k in BUDGETS] for t in TARGETS]),
        threshold=numbers("threshold"),
        f1=numbers("fit_f1"),
        harmful=taken("harmful"),
        harmless=taken("harmless"),
    )


def write_copy() -> None:
    full = asdict(from_folder())
    with np.load(FULL / "public.npz", allow_pickle=False) as arrays:
        on_basis = np.linalg.svd(arrays["directions"], full_matrices=False)[2].T
    of_targets = [name for name in full if name not in ("source", "zero_threshold")]
    small = full | {name: full[name][:1] for name in of_targets}
    for name in ("source", "targets"):
        small[name] = (small[name] @ on_basis).astype(np.float16)
    np.savez_compressed(COPY, **small)


if __name__ == "__main__":
    write_copy()
