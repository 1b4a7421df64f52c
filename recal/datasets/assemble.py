"""Published prompts to one set of prompts: duplicates dropped, groups split."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from recal.datasets.duplicates import NEAR, near_pairs, plain
from recal.datasets.grouping import SHARES, joined_groups, split_by_hash, split_by_publisher
from recal.datasets.layouts import Published
from recal.errors import DatasetRefused
from recal.prompts import Prompt, Split

Splitting = Literal["grouped", "published"]

Report = Callable[[int, int], None]
"""Called with prompts done and prompts in all."""


@dataclass(frozen=True)
class AssemblyPlan:
    """What is dropped, and how the rest is split."""

    splitting: Splitting = "grouped"
    """`grouped`: by a hash of the group. `published`: as the publishers did, by the hash where
    they did not; a group that they put into several goes to the one least to be scored."""
    shares: Mapping[Split, float] = field(default_factory=lambda: dict(SHARES))
    """Of the groups, for the hash."""
    near: float = NEAR
    """Share of pieces from which two texts of a language are near-duplicates."""
    seed: int = 0
    """Of the hash."""

    def __post_init__(self) -> None:
        if self.splitting not in ("grouped", "published"):
            raise ValueError(f"no splitting `{self.splitting}`; choose `grouped` or `published`")
        split_by_hash("", self.shares)


@dataclass(frozen=True)
class Assembled:
    """A set of prompts, and what was dropped on the way."""

    prompts: tuple[Prompt, ...]
    exact: int
    """Dropped: the same text of the same class came before."""
    near: int
    """Dropped: nearly the same text of the same class came before."""
    contradictory: int
    """Dropped: the same text was published as harmful and as harmless."""
    groups: int
    """Of prompts that mean the same, over all languages."""

    def counts(self) -> Counter[tuple[str, bool, Split]]:
        """Prompts by language, class (True: harmful) and split."""
        return Counter((p.language, p.harmful, p.split) for p in self.prompts)


def assemble(
    published: Sequence[Published],
    plan: AssemblyPlan | None = None,
    *,
    report: Report = lambda done, total: None,
) -> Assembled:
    """One set of prompts out of published ones.

    Translations of one prompt are a group, and so are groups that share a near-duplicate in any
    language; a group is never split. Of near-duplicates in one language and class the first one
    stays; of both classes both stay, because contrast is what they were written for.

    Raises:
        DatasetRefused: an id stands twice in a language, or nothing is left.
    """
    chosen = plan if plan is not None else AssemblyPlan()
    _refuse_repeated_ids(published)
    pairs = _near_pairs(published, chosen.near, report)
    dropped = _Dropped.of(published, pairs)
    kept = [i for i in range(len(published)) if i not in dropped.all]
    if not kept:
        raise DatasetRefused(f"of {len(published)} prompts none is left after duplicates")
    keys = [row.parallel_id or row.id for row in published]
    group_of = joined_groups(keys, ((keys[i], keys[j]) for i, j in pairs))
    groups: dict[str, list[int]] = defaultdict(list)
    for i in kept:
        groups[group_of[keys[i]]].append(i)
    split_of = {
        name: _split(name, [published[i] for i in rows], chosen) for name, rows in groups.items()
    }
    return Assembled(
        prompts=tuple(_prompt(published[i], keys[i], split_of[group_of[keys[i]]]) for i in kept),
        exact=len(dropped.exact),
        near=len(dropped.near),
        contradictory=len(dropped.contradictory),
        groups=len(groups),
    )


def _prompt(row: Published, parallel_id: str, split: Split) -> Prompt:
    return Prompt(row.id, row.language, row.harmful, row.text.strip(), split, parallel_id)


def _split(group: str, rows: Sequence[Published], plan: AssemblyPlan) -> Split:
    theirs = [row.split for row in rows if row.split is not None]
    if plan.splitting == "published" and theirs:
        return split_by_publisher(theirs)
    return split_by_hash(group, plan.shares, seed=plan.seed)


def _near_pairs(
    published: Sequence[Published], near: float, report: Report
) -> list[tuple[int, int]]:
    rows_of: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(published):
        rows_of[row.language].append(i)
    pairs, before = [], 0
    for rows in rows_of.values():
        texts = [plain(published[i].text) for i in rows]

        def tell(done: int, before: int = before) -> None:
            report(before + done, len(published))

        pairs += [(rows[i], rows[j]) for i, j in near_pairs(texts, near=near, report=tell)]
        before += len(rows)
    return pairs


@dataclass(frozen=True)
class _Dropped:
    """Rows that do not stay, by reason."""

    exact: frozenset[int]
    near: frozenset[int]
    contradictory: frozenset[int]

    @property
    def all(self) -> frozenset[int]:
        return self.exact | self.near | self.contradictory

    @classmethod
    def of(cls, published: Sequence[Published], pairs: Sequence[tuple[int, int]]) -> _Dropped:
        same = {pair for pair in pairs if _same_text(published, pair)}
        contradictory = {i for pair in same if _differ(published, pair) for i in pair}
        exact: set[int] = set()
        near: set[int] = set()
        for i, j in pairs:
            if i in contradictory | exact | near or j in contradictory | exact | near:
                continue
            if not _differ(published, (i, j)):
                (exact if (i, j) in same else near).add(j)
        return cls(frozenset(exact), frozenset(near), frozenset(contradictory))


def _same_text(published: Sequence[Published], pair: tuple[int, int]) -> bool:
    return plain(published[pair[0]].text) == plain(published[pair[1]].text)


def _differ(published: Sequence[Published], pair: tuple[int, int]) -> bool:
    return published[pair[0]].harmful != published[pair[1]].harmful


def _refuse_repeated_ids(published: Sequence[Published]) -> None:
    counts = Counter((row.language, row.harmful, row.id) for row in published)
    (_, _, repeated), times = max(counts.items(), key=lambda item: item[1], default=(("",) * 3, 0))
    if times > 1:
        raise DatasetRefused(f"the id `{repeated}` stands {times} times; give each prompt its own")
