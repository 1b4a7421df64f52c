"""Many rows at once: what one gets never depends on who else is there, comes or goes."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from services.backbone.load import Backbone
from services.domain import Action
from services.errors import Overloaded, ServiceError
from services.generation.decode import Batch
from services.generation.engine import Engine, EngineLimits, Request, Settled
from services.generation.intervention import add
from services.generation.monitor import monitor_of
from services.generation.row import Row
from services.generation.slabs import LEAST_COLUMNS
from services.generation.treatment import UNTOUCHED, Treatment
from tests.unit.services.generation.deciders import Decider, choices_of
from tests.unit.services.generation.rows import PROMPTS, a_row, every_form, tokens_alone
from tests.unit.services.tiny import tiny_readout

N_MIXED = 33
N_INTERLEAVINGS = {"qwen2": 400, "qwen3": 200, "llama": 200, "gemma2": 200}
N_ENGINES = 8


def without_effect(treatment: Treatment) -> Treatment:
    """The same moves with coefficients of zero: the same composition, and nothing is done."""
    still = tuple(replace(move, push=add(0.0)) for move in treatment.moves)
    return Treatment(Action.STEER, own=still) if still else UNTOUCHED


def logits_of(backbone: Backbone, rows: Sequence[Row], *, chunk: int) -> list[Tensor]:
    """All logits of each row; the second half of the rows joins in the middle."""
    found: dict[Row, list[Tensor]] = {row: [] for row in rows}
    passes: list[Tensor] = []
    head = backbone.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda module, args, output: passes.append(output[0]))
    batch = Batch(backbone, chunk_tokens=chunk, least_columns=16)
    late = list(rows[len(rows) // 2 :])
    batch.enter(rows[: len(rows) // 2])
    try:
        while late or batch.rows or batch.next_to_enter():
            if late and len(batch.rows) > 3:
                batch.enter([late.pop()])
            for (row, token), logits in zip(batch.step().items(), passes.pop(), strict=True):
                found[row].append(logits)
                assert isinstance(token, int)
                row.accept(token)
            batch.drop([row for row in batch.rows if row.finish is not None])
    finally:
        handle.remove()
    return [torch.stack(each) for each in found.values()]


def mixed_33(
    backbone: Backbone, treated: Callable[[Treatment], Treatment] = lambda treatment: treatment
) -> list[Row]:
    """Every form and scope, and a third of the rows untouched."""
    forms = every_form(tiny_readout(backbone))
    return [
        a_row(
            backbone,
            PROMPTS[index % len(PROMPTS)] * (1 + index % 2),
            UNTOUCHED if index % 3 == 0 else treated(forms[index % len(forms)]),
            max_tokens=4 + index % 7,
        )
        for index in range(N_MIXED)
    ]


def test_untouched_rows_of_33_are_bit_identical_to_a_control_in_which_nothing_is_done(
    backbone: Backbone,
):
    steered = logits_of(backbone, mixed_33(backbone), chunk=50)
    control = logits_of(backbone, mixed_33(backbone, without_effect), chunk=50)
    same = [torch.equal(*each) for each in zip(steered, control, strict=True)]
    assert all(same[::3])
    # a form that moves only what lies below its target may find nothing to move
    assert sum(same) <= N_MIXED // 3 + 4


class Pool:
    """Kinds of requests, and the tokens that each gets alone."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        readout = tiny_readout(backbone, acts_at=2)
        self._monitor = monitor_of(readout, threshold=math.inf, every=3)
        self._decider = Decider(backbone, readout, self._monitor)
        steering = self._decider.readout.steering
        self._choices = choices_of(
            *(Treatment(action, steering) for action in (Action.STEER, Action.RELEASE))
        )
        self._forms = [UNTOUCHED, *every_form(self._decider.readout)]
        alone = {kind: self.row(kind) for kind in self.kinds}
        self._alone = {kind: tokens_alone(backbone, row) for kind, row in alone.items()}
        self._running = {kind: running_of(row) for kind, row in alone.items()}

    @property
    def kinds(self) -> range:
        """As many decided ones as there are forms, and an undecided one for each prompt."""
        return range(len(self._forms) + len(PROMPTS))

    def row(self, kind: int) -> Row:
        if kind >= len(self._forms):
            return self._decider.row(kind - len(self._forms), self._choices)
        sampling = {"temperature": 1.0, "seed": kind} if kind % 3 == 0 else {}
        prompt = PROMPTS[kind % len(PROMPTS)]
        watched = {"monitor": self._monitor} if kind % 2 == 0 else {}
        options = {"max_tokens": 2 + kind % 3} | sampling | watched
        return a_row(self.backbone, prompt, self._forms[kind], **options)

    def check(self, kind: int, row: Row, tokens: Sequence[int]) -> None:
        """What a row got is what it gets alone, all of it where it has ended."""
        expected = self._alone[kind]
        assert list(tokens) == expected[: len(tokens)]
        assert row.finish is None or len(tokens) == len(expected)
        if row.finish is not None:
            assert running_of(row) == pytest.approx(self._running[kind], rel=1e-3, abs=1e-3)


def running_of(row: Row) -> float:
    """The running score of its answer; infinity, which none has, where nobody looks at it."""
    return math.inf if row.watch is None else row.watch.running


def interleave(pool: Pool, chance: random.Random) -> None:
    """Rows of random kinds come, go on and are cancelled at random; to the end."""
    batch = Batch(
        pool.backbone,
        chunk_tokens=chance.choice([5, 20, 200]),
        whole_tokens=chance.choice([1, 60]),
        least_columns=chance.choice([8, 32, LEAST_COLUMNS]),
    )
    rows = {pool.row(kind): kind for kind in chance.choices(pool.kinds, k=chance.randint(2, 4))}
    tokens: dict[Row, list[int]] = {row: [] for row in rows}
    waiting, inside = list(rows), list[Row]()
    while waiting or inside:
        joining = [waiting.pop() for _ in range(min(chance.randint(0, 3), len(waiting)))]
        batch.enter(joining)
        inside += joining
        if inside and chance.random() < 0.15:
            batch.drop([inside.pop(chance.randrange(len(inside)))])
        for row, token in (batch.step() | batch.look()).items():
            assert isinstance(token, int)
            tokens[row].append(token)
            row.accept(token)
        inside = [row for row in inside if row.finish is None]
        batch.keep(inside)
    assert (batch.rows, batch._entering, list(batch._slabs)) == ((), {}, [])
    for row, kind in rows.items():
        pool.check(kind, row, tokens[row])


def test_whoever_comes_and_goes_meanwhile_every_row_gets_the_tokens_that_it_gets_alone(
    backbone: Backbone, architecture: str
):
    pool = Pool(backbone)
    for seed in range(N_INTERLEAVINGS[architecture]):
        interleave(pool, random.Random(seed))


async def ask(engine: Engine, row: Row, patience: int) -> str | ServiceError | None:
    """Its whole text, or why there is none; None where its client left after so many answers."""
    text = ""
    try:
        async with aclosing(engine.answers(Request(row))) as answers:
            async for answer in answers:
                if patience == 0:
                    return None
                patience -= 1
                text += "" if isinstance(answer, Settled) else answer.text
    except ServiceError as error:
        return error
    return text


@pytest.mark.parametrize("seed", range(N_ENGINES))
async def test_an_engine_answers_or_says_why_whoever_leaves_and_however_full_it_is(
    backbones, seed: int
):
    chance, pool = random.Random(seed), Pool(backbones["qwen2"])
    limits = EngineLimits(
        max_rows=chance.choice([1, 3, 16]),
        max_waiting=chance.choice([2, 100]),
        max_prefill_tokens=chance.choice([5, 30, 500]),
        max_cache_bytes=chance.choice([None, 200_000]),
    )
    engine = Engine(pool.backbone, limits=limits)
    kinds = chance.choices(pool.kinds, k=20)
    rows = [pool.row(kind) for kind in kinds]

    async def one(row: Row) -> str | ServiceError | None:
        await asyncio.sleep(chance.random() / 50)
        return await ask(engine, row, chance.choice([0, 1, 3, 1000, 1000, 1000]))

    try:
        found = await asyncio.gather(*map(one, rows))
        expected = {kind: await ask(engine, pool.row(kind), 1000) for kind in set(kinds)}
        await asyncio.sleep(0.05)
        assert (engine._batch.rows, engine._batch.next_to_enter()) == ((), [])
    finally:
        await engine.close()
    for kind, each in zip(kinds, found, strict=True):
        assert each is None or isinstance(each, Overloaded) or each == expected[kind]
    assert any(isinstance(each, str) for each in found)
