"""What shares are while a version is new: counted, with how much blocks of them differ."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field
from scipy.stats import chi2

from services.drift.cusum import FloatArray

BLOCK_S = 3600.0
"""A block lasts as long as this, and holds as many requests as `BLOCK_N`, whichever comes last."""
BLOCK_N = 100.0
_ORDINARY = 1e-3
"""Blocks that differ this improbably differ by more than chance."""


class Block(BaseModel):
    """Requests that came together."""

    since: float
    n: float = 0.0
    hits: list[float] = Field(default_factory=list)


class Baseline(BaseModel):
    """Counts of the first requests, whole and by block. Columns are shares that are watched."""

    n: float = 0.0
    hits: list[float]
    blocks: int = 0
    blocks_n: float = 0.0
    blocks_hits: list[float]
    squares: list[float]
    """Sum over the blocks of hits²/n."""
    open: Block | None = None
    """The block that is not full."""

    @classmethod
    def of(cls, columns: int) -> Baseline:
        """Nothing counted yet."""
        zeros = [0.0] * columns
        return cls(hits=zeros, blocks_hits=zeros, squares=zeros)

    def add(self, n: float, hits: FloatArray, now: float) -> None:
        """Count `n` requests, `hits` (columns,) of which are of each kind; `now` in seconds."""
        self.n += n
        self.hits = (np.asarray(self.hits) + hits).tolist()
        block = self.open or Block(since=now, hits=[0.0] * len(hits))
        block.n += n
        block.hits = (np.asarray(block.hits) + hits).tolist()
        self.open = block
        if now - block.since >= BLOCK_S and block.n >= BLOCK_N:
            self._close(block)

    def _close(self, block: Block) -> None:
        hits = np.asarray(block.hits)
        self.blocks += 1
        self.blocks_n += block.n
        self.blocks_hits = (np.asarray(self.blocks_hits) + hits).tolist()
        self.squares = (np.asarray(self.squares) + hits**2 / block.n).tolist()
        self.open = None

    @property
    def rates(self) -> FloatArray:
        """(columns,) shares, kept off 0 and 1 by half a request."""
        rates: FloatArray = (np.asarray(self.hits) + 0.5) / (self.n + 1)
        return rates

    @property
    def dispersion(self) -> FloatArray:
        """(columns,) how many times as much blocks differ as by chance; 1 where chance explains it.

        Pearson's χ² over its degrees of freedom, as in quasi-likelihood. A request counts for that
        much less: hours that differ by themselves, and callers who send the same thing many times,
        would else be taken for drift.
        """
        if self.blocks < 2:
            return np.ones(len(self.hits))
        n, hits, squares = self.blocks_n, np.asarray(self.blocks_hits), np.asarray(self.squares)
        p = (hits + 0.5) / (n + 1)
        chi_squared = (squares - 2 * p * hits + p * p * n) / (p * (1 - p))
        freedom = self.blocks - 1
        ordinary = chi_squared <= chi2.ppf(1 - _ORDINARY, freedom)
        result: FloatArray = np.where(ordinary, 1.0, np.maximum(1.0, chi_squared / freedom))
        return result
