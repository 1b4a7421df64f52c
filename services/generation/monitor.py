"""The response-side monitor: a score of what is being written, and when the writing must stop.

Off unless the settings say so. The readout was fitted on prompts; here it scores the tokens of the
answer, each at all of its layers, and what counts is their running mean. The score is linear, so
the mean of the tokens' scores is the score of their mean residual, and one number for each row and
step comes to the host with its token: nothing waits for the device that did not wait before.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from services.backbone.hooks import capture
from services.backbone.load import Backbone
from services.domain import Action, MonitorStop
from services.errors import ArtefactRefused
from services.readout.bundle import Readout
from services.settings import Settings

MONITORED = frozenset({Action.NONE, Action.RELEASE})
"""What is done to rows that are monitored. STEER pushes residuals toward harmfulness on purpose, so
their score says nothing, and what such a row writes is a refusal already."""


@dataclass(frozen=True, eq=False)
class Monitor:
    """What answers are scored by, by one readout, and above what they are withdrawn."""

    weights: Mapping[int, Tensor]
    """By 0-based decoder block, (d_model,) float32: all parts of the readout that read there, each
    times its share, whichever of a prompt's tokens they were fitted on."""
    bias: float
    threshold: float
    """In the unit of the frozen score, but for answers: prompts' thresholds mean nothing here. May
    be infinite, for answers that are to be scored alone."""
    every: int
    """Tokens between two looks; text goes out when it has been looked at."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"`every` is {self.every}; look at an answer every 1 token or more")
        if math.isnan(self.threshold):
            raise ValueError("the monitor's threshold is not a number; nothing would be above it")

    @property
    def layers(self) -> tuple[int, ...]:
        """The blocks that are read, rising."""
        return tuple(sorted(self.weights))


def monitor_of(readout: Readout, *, threshold: float, every: int) -> Monitor:
    """A monitor by a readout's frozen score.

    Raises:
        ValueError: a threshold that is not a number, or `every` below 1.
    """
    weights: dict[int, Tensor] = {}
    for part in readout.parts:
        weight = part.share * part.linear.weight
        layer = part.place.layer
        weights[layer] = weights[layer] + weight if layer in weights else weight
    bias = sum(part.share * part.linear.bias for part in readout.parts)
    return Monitor(MappingProxyType(weights), bias, threshold, every)


class Monitors:
    """The monitor of each readout that has a threshold; made once for each."""

    def __init__(self, thresholds: Mapping[str, float], *, every: int) -> None:
        """Take the operator's thresholds.

        Args:
            thresholds: by the readout's digest, or how it begins.
            every: tokens between two looks.
        """
        self._thresholds = dict(thresholds)
        self._every = every
        self._made: dict[str, Monitor] = {}

    def of(self, readout: Readout) -> Monitor:
        """The monitor by a readout; the same object for all requests under it.

        Raises:
            ArtefactRefused: no threshold is set for it. Another readout's is in another unit.
        """
        if readout.digest not in self._made:
            self._made[readout.digest] = monitor_of(
                readout, threshold=self.threshold(readout), every=self._every
            )
        return self._made[readout.digest]

    def threshold(self, readout: Readout) -> float:
        """The threshold that is set for a readout.

        Raises:
            ArtefactRefused: none is.
        """
        for digest, threshold in self._thresholds.items():
            if digest and readout.digest.startswith(digest):
                return threshold
        raise ArtefactRefused(
            f"`generation.monitor.thresholds` has none for readout `{readout.version}` "
            f"({readout.digest[:12]}), and another readout's is in another unit; run "
            "`recal answer-threshold` for it and set what it prints"
        )


def monitors_of(settings: Settings) -> Monitors | None:
    """What look at answers; None where nobody does, or nothing is generated."""
    section = settings.generation.monitor
    if section is None or settings.mode == "sidecar":
        return None
    return Monitors(section.thresholds, every=section.every)


class Watch:
    """What the monitor knows of one answer. Belongs to its row."""

    def __init__(self, monitor: Monitor) -> None:
        """Begin before the first token of the answer."""
        self.monitor = monitor
        self.n_read = 0
        """Tokens of the answer that were scored."""
        self.peak = -math.inf
        """The highest running score of all looks so far."""
        self._sum = 0.0

    def read(self, score: float) -> None:
        """Take the score of the next token of the answer."""
        self._sum += score
        self.n_read += 1

    @property
    def running(self) -> float:
        """The mean score of all tokens so far; minus infinity before the first."""
        return self._sum / self.n_read if self.n_read else -math.inf

    @property
    def is_due(self) -> bool:
        """Whether it is time for a look."""
        return self.n_read > 0 and self.n_read % self.monitor.every == 0

    def look(self) -> MonitorStop | None:
        """Why the answer is to be withdrawn, if it is."""
        if self.n_read == 0:
            return None
        if not math.isfinite(self._sum):
            # whatever is written is written by activations that nobody can read
            return MonitorStop.NON_FINITE
        self.peak = max(self.peak, self.running)
        return MonitorStop.SCORE if self.running > self.monitor.threshold else None


class TokenScores:
    """Scores the new tokens of rows that decode, one each, while a packed pass runs.

    The same from one token to the next, as long as no row comes, goes or moves.
    """

    def __init__(self, monitors: Sequence[Monitor | None], backbone: Backbone) -> None:
        """Put the weights on the device.

        Args:
            monitors: of each row that decodes, in the pass's order; at least one is not None.
            backbone: the whole model.

        Raises:
            ValueError: nobody is monitored.
        """
        distinct = list(dict.fromkeys(each for each in monitors if each is not None))
        if not distinct:
            raise ValueError("no row is monitored; leave the pass alone")
        self._backbone = backbone
        self._n_rows = len(monitors)
        # of a row that is not monitored any monitor's: nobody takes its score
        which = [0 if each is None else distinct.index(each) for each in monitors]
        layers = sorted({layer for each in distinct for layer in each.weights})
        self._weights = {layer: _stacked(distinct, layer, which, backbone) for layer in layers}
        biases = [distinct[index].bias for index in which]
        self._biases = torch.tensor(biases, dtype=torch.float32, device=backbone.device)
        self._found: list[dict[int, Tensor]] = []

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read while a pass runs in which these rows' tokens come first.

        Edits are to be installed inside of this, as for a verdict: what is read is unedited where a
        block is both read and acted at.
        """
        with ExitStack() as stack:
            self._found = [
                stack.enter_context(
                    capture(self._backbone.blocks, [layer], keep=partial(self._score, weight))
                )
                for layer, weight in self._weights.items()
            ]
            yield

    def scores(self) -> Tensor:
        """(rows,) float32 on the device, of the last pass."""
        return torch.stack([self._biases, *(e for each in self._found for e in each.values())]).sum(
            0
        )

    def _score(self, weight: Tensor, residual: Tensor) -> Tensor:
        """(rows,) float32, what one block adds."""
        # not a matrix product: its summation order, and so the last bit, depends on the batch
        return (residual[0, : self._n_rows].float() * weight).sum(dim=-1)


def _stacked(
    monitors: Sequence[Monitor], layer: int, which: Sequence[int], backbone: Backbone
) -> Tensor:
    """(d_model,) where all rows share a monitor, else (rows, d_model), on the device."""
    width = backbone.identity.d_model
    stacked = torch.stack([each.weights.get(layer, torch.zeros(width)) for each in monitors])
    if len(monitors) == 1:
        return stacked[0].to(backbone.device)
    return stacked[torch.tensor(which)].to(backbone.device)
