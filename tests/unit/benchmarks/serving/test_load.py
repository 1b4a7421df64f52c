"""Requests are drawn by a seed alone, in the lengths that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.serving.load import Job, all_at_once, closed, draw, poisson
from services.backbone.chat import encode
from services.backbone.load import Backbone

SHORT = {"prompt_tokens": (8, 64), "output_tokens": (8, 32)}


def test_the_same_seed_draws_the_same_requests_and_another_seed_others(tiny: Backbone) -> None:
    first = draw(tiny, 20, seed=3, **SHORT)
    assert first == draw(tiny, 20, seed=3, **SHORT)
    assert first != draw(tiny, 20, seed=4, **SHORT)


def test_lengths_lie_between_the_bounds_and_reach_both(tiny: Backbone) -> None:
    jobs = draw(tiny, 400, seed=0, **SHORT)
    own = [len(job.prompt_ids) - len(encode(tiny.tokenizer, "")) for job in jobs]
    assert (min(own), max(own)) == (8, 64)
    outputs = [job.n_output for job in jobs]
    assert (min(outputs), max(outputs)) == (8, 32)


def test_lengths_are_log_uniform(tiny: Backbone) -> None:
    outputs = [job.n_output for job in draw(tiny, 2000, seed=0, **SHORT)]
    # as many between 8 and 16 as between 16 and 32
    assert np.mean([n < 16 for n in outputs]) == pytest.approx(0.5, abs=0.05)


def test_a_prompt_s_text_has_the_tokens_that_it_is_sent_with(tiny: Backbone) -> None:
    for job in draw(tiny, 10, seed=0, **SHORT):
        assert encode(tiny.tokenizer, job.prompt) == list(job.prompt_ids)


def test_prompts_are_cut_to_what_the_context_leaves_an_answer(tiny: Backbone) -> None:
    jobs = draw(tiny, 40, seed=0, prompt_tokens=(8, 512), output_tokens=(8, 32))
    assert max(len(job.prompt_ids) for job in jobs) == tiny.max_prompt_tokens - 32
    room = tiny.max_prompt_tokens - len(encode(tiny.tokenizer, ""))
    assert draw(tiny, 1, seed=0, output_tokens=(8, room - 8))
    with pytest.raises(ValueError, match=f"8 of a prompt and {room - 7} of an answer do not fit"):
        draw(tiny, 1, seed=0, output_tokens=(8, room - 7))


def test_arrivals_have_the_rate_that_was_asked_for_and_the_first_comes_at_once() -> None:
    load = poisson([Job("", (1,), 1)] * 4000, rate=50.0, seed=0)
    times = np.array([job.arrival_s for job in load.jobs])
    assert times[0] == 0.0
    assert len(times) / times[-1] == pytest.approx(50.0, rel=0.05)
    # the gaps of a Poisson process vary as much as they are long
    assert np.diff(times).std() == pytest.approx(np.diff(times).mean(), rel=0.1)


def test_a_load_is_named_by_its_clients_and_counts_the_tokens_of_answers() -> None:
    jobs = [Job("", (1,), 3, arrival_s=9.0), Job("", (1,), 4)]
    assert closed(jobs, 1).name == "1 client"
    assert closed(jobs, 16).name == "16 clients"
    assert all_at_once(jobs).useful_tokens == 7
    assert [job.arrival_s for job in all_at_once(jobs).jobs] == [0.0, 0.0]
