"""A test before a bundle serves: stored activations must get the scores that the fit gave them.

Digests say that no byte has changed. They say nothing about the arithmetic: another build of the
libraries, a device with other kernels or a lower precision, a table that was folded wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from services.errors import ArtefactRefused
from services.readout.bundle import Bundle
from services.readout.linear import LinearReadout
from services.readout.references import References
from services.readout.scores import column_of, score_table

_ROUNDING = 1e-5
"""Of the sum of a score's terms by their size: float32's, over thousands of them."""
_LEAST = 1e-3
"""Pooled standard deviations; smaller differences change no verdict that anybody could notice."""


def refuse_other_scores(
    bundle: Bundle, *, devices: Sequence[torch.device] = (torch.device("cpu"),)
) -> None:
    """Score the readout's references as requests are scored, on every device that scores.

    The frozen score is compared with the fit's own; each own readout's column of the table with
    what its weights give by themselves.

    Args:
        bundle: a readout without references, as older fits made them, is not tested.
        devices: to score on.

    Raises:
        ArtefactRefused: a score is another, or not finite.
    """
    references = bundle.readout.references
    if references is None:
        return
    checks = list(_checks(bundle, references))
    for device in devices:
        found = score_table(bundle, references.residuals.to(device)).cpu()
        for check in checks:
            _refuse_difference(check, found[:, check.column], device)


class _Check(NamedTuple):
    """One column of the table, and what is to be in it."""

    name: str
    column: int
    wanted: Tensor
    """(n,)."""
    room: Tensor
    """(n,) how far rounding may bring a score from it."""


def _checks(bundle: Bundle, references: References) -> Iterator[_Check]:
    readout, residuals = bundle.readout, references.residuals
    frozen = [(part.linear, part.share) for part in readout.parts]
    scores = torch.tensor(references.scores, dtype=torch.float64)
    yield _Check(f"`{readout.version}`", 0, scores, _room(frozen, residuals))
    for calibration in bundle.loaded:
        if calibration.own is not None:
            read = residuals[:, calibration.own.rows_among(readout.places)]
            yield _Check(
                f"the own readout of `{calibration.version}`",
                column_of(calibration, bundle),
                calibration.own.score(read),
                _room([(part.linear, 1.0) for part in calibration.own.parts], read),
            )


def _refuse_difference(check: _Check, found: Tensor, device: torch.device) -> None:
    apart = (found.double() - check.wanted.double()).abs()
    # every comparison with NaN is false, so what is near enough is asked for
    if not bool((apart <= check.room).all()):
        worst = int(torch.where(apart.isfinite(), apart, torch.inf).argmax())
        raise ArtefactRefused(
            f"{check.name} scores its reference activation {worst} as {float(found[worst]):.6g} on "
            f"`{device}`, and {float(check.wanted[worst]):.6g} was expected; check this build of "
            "torch, its precision (`torch.get_float32_matmul_precision()`) and the device, then "
            "restart; or run `recal fit` again"
        )


def _room(parts: Sequence[tuple[LinearReadout, float]], residuals: Tensor) -> Tensor:
    sizes = torch.zeros(len(residuals), dtype=torch.float64)
    for index, (linear, share) in enumerate(parts):
        terms = residuals[:, index].double().abs() @ linear.weight.double().abs()
        sizes += share * (terms + abs(linear.bias))
    return torch.clamp(_ROUNDING * sizes, min=_LEAST)
