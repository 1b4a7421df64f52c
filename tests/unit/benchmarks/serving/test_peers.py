"""All ways to answer requests give the same tokens where they should, and as many as were asked."""

from __future__ import annotations

import time
from contextlib import closing
from math import inf
from pathlib import Path

import pytest
import torch

from benchmarks.serving.artefacts import random_readout, thresholds_between
from benchmarks.serving.load import Job, Load, all_at_once, closed, poisson
from benchmarks.serving.peers import ideal
from benchmarks.serving.peers.catalogue import IDEAL, PADDED, PEERS, TRANSFORMERS, UNGATED
from benchmarks.serving.peers.checkers import BatchCheck
from benchmarks.serving.peers.ours import Fused, Monitored, Split, Ungated
from benchmarks.serving.peers.padded import Padded, Released
from benchmarks.serving.peers.peer import Peer, Setting
from services.backbone.chat import encode_prompt
from services.backbone.load import Backbone, load_backbone
from services.gate.extract import residuals
from services.generation.attention import packed_attention
from services.generation.monitor import monitor_of
from services.readout.bundle import Thresholds
from tests.unit.benchmarks.serving.conftest import TOKENS, setting_of
from tests.unit.services.tiny import build_checkpoint

Tokens = list[tuple[int, ...]]
ALL_STEERED, ALL_RELEASED = Thresholds(-1e9, None), Thresholds(1e9, 1e9)
NONE_TREATED = Thresholds(1e9, -1e9)


def loads_of(jobs: tuple[Job, ...]) -> tuple[Load, ...]:
    return all_at_once(jobs), closed(jobs, 2), poisson(jobs, rate=500.0, seed=0)


def tokens(peer: Peer, load: Load) -> Tokens:
    with closing(peer):
        return [each.tokens for each in peer.run(load).answered]


@pytest.mark.parametrize("name", [name for name in PEERS if name != IDEAL])
def test_every_answer_has_the_tokens_that_were_asked_for_in_rising_time(
    name: str, setting: Setting, jobs: tuple[Job, ...]
) -> None:
    with closing(PEERS[name](setting)) as peer:
        for load in loads_of(jobs):
            answered = peer.run(load).answered
            assert [len(each.tokens) for each in answered] == list(TOKENS)
            assert all(0 <= each.arrived < each.first <= each.last < 60 for each in answered)


@pytest.mark.parametrize("name", [PADDED, TRANSFORMERS])
def test_untouched_peers_give_the_ungated_engine_s_tokens(
    name: str, setting: Setting, jobs: tuple[Job, ...]
) -> None:
    wanted = tokens(PEERS[UNGATED](setting), all_at_once(jobs))
    for load in loads_of(jobs):
        assert tokens(PEERS[name](setting), load) == wanted


def test_transformers_has_asked_what_it_needs_before_our_engine_takes_the_attention(
    setting: Setting, tiny: Backbone, jobs: tuple[Job, ...]
) -> None:
    with closing(PEERS[TRANSFORMERS](setting)) as theirs:
        with packed_attention(tiny.model):
            time.sleep(0.3)  # in which its thread may ask
        found = [each.tokens for each in theirs.run(all_at_once(jobs)).answered]
    assert found == tokens(PEERS[UNGATED](setting), all_at_once(jobs))


def test_transformers_leaves_the_attention_of_others_alone_until_it_answers(
    tmp_path: Path, jobs: tuple[Job, ...]
) -> None:
    # the model is eager, and it makes that attend to pages
    checkpoint = build_checkpoint("gemma2", tmp_path / "gemma2")
    setting = setting_of(load_backbone(str(checkpoint)), checkpoint, NONE_TREATED)
    load = all_at_once(jobs)
    wanted = tokens(PEERS[UNGATED](setting), load)
    with closing(PEERS[TRANSFORMERS](setting)) as theirs:
        before = tokens(PEERS[PADDED](setting), load)
        found = [each.tokens for each in theirs.run(load).answered]
        assert before == found == tokens(PEERS[PADDED](setting), load) == wanted


@pytest.mark.parametrize("thresholds", [ALL_STEERED, ALL_RELEASED])
def test_the_released_procedure_acts_as_ours_does_on_the_same_verdict(
    thresholds: Thresholds, tiny: Backbone, checkpoint: Path, jobs: tuple[Job, ...]
) -> None:
    setting = setting_of(tiny, checkpoint, thresholds)
    theirs, ours = (tokens(make(setting), all_at_once(jobs)) for make in (Released, Split))
    assert theirs == ours
    assert theirs != tokens(Padded(setting), all_at_once(jobs))


def test_fused_gives_split_s_tokens_where_some_are_steered_and_some_released(
    setting: Setting, jobs: tuple[Job, ...]
) -> None:
    for load in loads_of(jobs):
        fused, split = (tokens(make(setting), load) for make in (Fused, Split))
        assert fused == split
        assert fused != tokens(PEERS[UNGATED](setting), load)


def test_split_leaves_a_request_between_the_thresholds_alone(
    tiny: Backbone, checkpoint: Path, jobs: tuple[Job, ...]
) -> None:
    setting = setting_of(tiny, checkpoint, NONE_TREATED)
    assert tokens(Split(setting), all_at_once(jobs)) == tokens(Padded(setting), all_at_once(jobs))


def test_the_released_procedure_steers_whom_the_gate_s_score_says_and_releases_the_others(
    setting: Setting, tiny: Backbone, checkpoint: Path, jobs: tuple[Job, ...]
) -> None:
    mixed, steered, released = (
        tokens(Released(each), all_at_once(jobs))
        for each in (
            setting,
            setting_of(tiny, checkpoint, ALL_STEERED),
            setting_of(tiny, checkpoint, ALL_RELEASED),
        )
    )
    threshold = setting.bundle.calibrations["en"].thresholds.steer
    harmful = [s >= threshold for s in BatchCheck(setting).scores([job.prompt for job in jobs])]
    assert len(set(harmful)) == 2
    pairs = zip(harmful, steered, released, strict=True)
    assert mixed == [acted if is_harmful else freed for is_harmful, acted, freed in pairs]


@pytest.mark.parametrize("above", [True, False])
def test_the_released_procedure_reads_a_padded_prompt_as_the_gate_reads_it_alone(
    above: bool, setting: Setting, tiny: Backbone, checkpoint: Path, jobs: tuple[Job, ...]
) -> None:
    shortest = min(range(len(jobs)), key=lambda index: len(jobs[index].prompt_ids))
    score = BatchCheck(setting).scores([jobs[shortest].prompt])[0]
    close = Thresholds(score - 1e-3 if above else score + 1e-3, None)
    at_the_edge, as_decided = (
        tokens(Released(setting_of(tiny, checkpoint, each)), all_at_once(jobs))[shortest]
        for each in (close, ALL_STEERED if above else ALL_RELEASED)
    )
    assert at_the_edge == as_decided


def test_the_ideal_counts_prompts_pairs_and_the_mean_context_of_a_load() -> None:
    load = all_at_once([Job("", (1,) * 10, 3), Job("", (1,) * 20, 1)])
    assert ideal.mean_prompt(load) == 15
    assert ideal.decode_tokens(load) == 2
    # the second and third token of the first answer see 11 and 12 columns
    assert ideal.context_of(load) == round((11 + 12) / 2)


def test_the_ideal_runs_full_batches_and_gives_no_times_of_requests(
    setting: Setting, jobs: tuple[Job, ...]
) -> None:
    passes: list[tuple[int, ...]] = []
    hook = setting.backbone.blocks[0].register_forward_hook(
        lambda module, args, output: passes.append(tuple(args[0].shape[:2]))
    )
    found = PEERS[IDEAL](setting).run(all_at_once(jobs))
    hook.remove()
    assert (found.answered, found.useful_tokens) == ((), sum(TOKENS))
    decode = [rows for rows, n_tokens in passes if n_tokens == 1]
    assert decode == [4] * 10 + [1]  # 41 tokens after the first ones
    prefill = [rows for rows, n_tokens in passes[1:] if n_tokens > 1]
    assert prefill == [4, 2]  # behind the pass that only makes the cache
    with pytest.raises(ValueError, match="that all come at once"):
        PEERS[IDEAL](setting).run(closed(jobs, 2))


@torch.inference_mode()
def test_the_ideal_s_cache_neither_grows_nor_copies(setting: Setting) -> None:
    cache = ideal.Ideal(setting)._full(7)
    before = [keys.data_ptr() for keys, _ in cache._held]
    new = cache._held[0][0][:, :, -1:] + 1
    keys, _ = cache.update(new, new, 0)
    assert keys.shape[2] == 7
    assert keys.data_ptr() == before[0]
    assert (keys[:, :, -1:] == new).all()


@pytest.mark.parametrize("n", range(1, 8))
def test_thresholds_lie_between_scores_and_on_none(tiny: Backbone, jobs: tuple[Job, ...], n: int):
    prompts = [job.prompt for job in jobs[:n]]
    held, readout = thresholds_between(tiny, prompts), random_readout(tiny)
    encoded = [encode_prompt(tiny.tokenizer, prompt) for prompt in prompts]
    scores = readout.score(residuals(tiny, encoded, places=readout.places))
    assert sum(scores < held.release) == n // 3
    assert sum(scores >= held.steer) == n // 3
    assert min(abs(scores - held.steer).min(), abs(scores - held.release).min()) > 1e-3


def test_an_engine_whose_answers_are_looked_at_writes_the_same_and_shows_it_later(
    setting: Setting, jobs: tuple[Job, ...]
) -> None:
    monitor = monitor_of(setting.bundle.readout, threshold=inf, every=4)
    alone, watched = (
        make.run(all_at_once(jobs)).answered
        for make in (Ungated(setting), Monitored(setting, monitor))
    )
    assert [each.tokens for each in watched] == [each.tokens for each in alone]
    # the first look is when the fifth token comes: an answer that ends by then comes whole
    assert [each.first == each.last for each in watched] == [n <= 5 for n in TOKENS]
