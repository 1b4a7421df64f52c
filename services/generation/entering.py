"""A row whose prompt has not wholly run: what is done of it, and what comes next."""

from __future__ import annotations

from services.backbone.load import Backbone
from services.generation.deciding import Decision
from services.generation.packed import Chunk
from services.generation.row import Row
from services.generation.slabs import Held


class Entering:
    """Belongs to one row from when it comes until it has its first token."""

    def __init__(self, row: Row, backbone: Backbone, *, whole_tokens: int) -> None:
        """Begin before its first token.

        Args:
            row: what enters.
            backbone: the whole model.
            whole_tokens: an undecided prompt of up to so many tokens runs in one pass.
        """
        self.row = row
        self.held = Held(len(row.prompt_ids))
        self._backbone = backbone
        self._whole_tokens = whole_tokens
        self._n_done = 0
        self._decision: Decision | None = None

    @property
    def is_read_first(self) -> bool:
        """True while passes run for its verdict alone: its prompt is too long for one pass."""
        return self.row.is_undecided and len(self.row.prompt_ids) > self._whole_tokens

    @property
    def decision(self) -> Decision:
        """What decides it, where it is read first: over several passes always the same."""
        if self._decision is None:
            self._decision = Decision(self._backbone, [self.row])
        return self._decision

    def next(self, room: int, *, is_first: bool) -> Chunk | None:
        """The prompt tokens that come next; None where there is no room for what must be together.

        Args:
            room: prompt tokens that the pass still takes.
            is_first: whether no other prompt is in it: then what must be together may be more.
        """
        n_left = len(self.row.prompt_ids) - self._n_done
        # an undecided prompt is treated in the pass that decides it, so all of it must be there
        is_whole = self.row.is_undecided and not self.is_read_first
        n_tokens = n_left if is_whole else min(n_left, room)
        if not 0 < n_tokens <= room and not (is_whole and is_first):
            return None
        return Chunk(self.row, self.held, self._n_done, n_tokens)

    def ran(self, chunk: Chunk) -> None:
        """Its chunk has run."""
        self._n_done = chunk.start + chunk.n_tokens

    def keep(self, n_tokens: int) -> None:
        """Only so many prompt tokens have run as they should have; the others run again."""
        self._n_done = n_tokens  # what is held of the others is written over

    def start_again(self) -> None:
        """Nothing has run, and nothing was read."""
        self._n_done, self._decision = 0, None
