import asyncio
from dataclasses import replace

import pytest
import torch

from services.backbone.chat import encode_prompt
from services.backbone.load import load_backbone
from services.domain import GateRequest
from services.errors import DeadlinePassed, InvalidRequest, PromptTooLong, ServiceError
from services.gate.batcher import BatchLimits
from services.gate.extract import residuals
from services.gate.policy import Policy
from services.gate.service import GateService
from services.readout.bundle import Bundle
from services.readout.linear import LinearReadout
from tests.unit.services.gate.gates import PROMPT, SW, Held, Passes, counted, with_linear
from tests.unit.services.held_tokenizer import HeldTokenizer
from tests.unit.services.tiny import tiny_bundle, tiny_calibration, tiny_readout


def of_lengths(*lengths: int) -> list[GateRequest]:
    return [GateRequest("a " * n, SW) for n in lengths]


async def test_many_prompts_fill_whole_batches_of_like_lengths(qwen2, bundle, meter):
    gate = GateService(qwen2, Held(bundle), Policy(), meter, limits=BatchLimits(max_batch=4))
    lengths = [40, 1, 42, 3, 41, 2, 43, 4, 20, 22]
    with Passes(qwen2) as passes:
        readings = await gate.batch_check(of_lengths(*lengths))
    await gate.close()
    assert [rows for rows, _ in passes.shapes] == [4, 4, 2]
    widths = [width for _, width in passes.shapes]
    assert widths == sorted(widths)
    tokens = [reading.n_prompt_tokens for reading in readings]
    assert [lengths[i] for i in sorted(range(10), key=tokens.__getitem__)] == sorted(lengths)


async def test_many_prompts_stay_within_the_padded_tokens_of_a_pass(qwen2, bundle, meter):
    limits = BatchLimits(max_tokens=200)
    gate = GateService(qwen2, Held(bundle), Policy(), meter, limits=limits)
    with Passes(qwen2) as passes:
        await gate.batch_check(of_lengths(*range(1, 40)))
    await gate.close()
    assert sum(rows for rows, _ in passes.shapes) == 39
    assert [shape for shape in passes.shapes if shape[0] > 1 and shape[0] * shape[1] > 200] == []


async def test_a_single_prompt_does_not_wait_for_all_of_anothers_many(qwen2, bundle, meter):
    limits = BatchLimits(max_batch=2)
    gate = GateService(qwen2, Held(bundle), Policy(), meter, limits=limits)
    with Passes(qwen2) as passes:
        passes.may_go_on.clear()
        many = asyncio.create_task(gate.batch_check(of_lengths(*[5] * 20)))
        await asyncio.to_thread(passes.began.wait)
        await asyncio.sleep(0.2)  # long enough to tokenise them all
        single = asyncio.create_task(gate.check(GateRequest("a " * 5, SW)))
        await asyncio.sleep(0.05)
        passes.may_go_on.set()
        await single
        assert not many.done()
        assert len(passes.shapes) <= 4
        await many
    await gate.close()


@pytest.mark.parametrize("ends", ["deadline", "cancel", "one bad prompt"])
async def test_many_prompts_that_nobody_waits_for_any_more_are_not_run(qwen2, bundle, meter, ends):
    limits = BatchLimits(max_batch=2)
    gate = GateService(qwen2, Held(bundle), Policy(), meter, limits=limits)
    requests = of_lengths(*[5] * 20, *[300] * (ends == "one bad prompt"))
    with Passes(qwen2) as passes:
        passes.may_go_on.clear()
        timeout_s = 0.2 if ends == "deadline" else None
        many = asyncio.create_task(gate.batch_check(requests, timeout_s=timeout_s))
        await asyncio.to_thread(passes.began.wait)
        if ends == "cancel":
            many.cancel()
        if ends == "one bad prompt":
            passes.may_go_on.set()
        error = (await asyncio.gather(many, return_exceptions=True))[0]
        passes.may_go_on.set()
        await gate.check(GateRequest(PROMPT, SW))
    await gate.close()
    kinds = {"deadline": DeadlinePassed, "cancel": asyncio.CancelledError}
    assert type(error) is kinds.get(ends, PromptTooLong)
    if ends == "deadline":
        assert "`requests[" in str(error)
    if ends != "one bad prompt":
        assert len(passes.shapes) == 2  # what ran already, and the single one


async def test_a_bad_prompt_of_many_is_found_without_running_those_that_follow(
    qwen2, bundle, meter
):
    gate = GateService(qwen2, Held(bundle), Policy(), meter, limits=BatchLimits(max_batch=2))
    bad = GateRequest("\ud800", SW)  # shorter than all others, so it comes first
    with Passes(qwen2) as passes, pytest.raises(InvalidRequest, match=r"`requests\[3\]`"):
        await gate.batch_check([*of_lengths(5, 5, 5), bad])
    await gate.close()
    assert passes.shapes == []


async def test_a_prompt_whose_time_runs_out_at_the_tokenizer_is_told_so_and_costs_no_pass(
    qwen2, bundle, meter
):
    held = HeldTokenizer()
    gate = GateService(replace(qwen2, tokenizer=held), Held(bundle), Policy(), meter)
    with Passes(qwen2) as passes:
        first = asyncio.create_task(gate.check(GateRequest(PROMPT, SW)))
        await asyncio.to_thread(held.began.wait)
        with pytest.raises(DeadlinePassed, match="not tokenised"):
            await gate.check(GateRequest("late", SW), timeout_s=0.02)
        held.may_go_on.set()
        await first
    await gate.close()
    assert len(passes.shapes) == 1


async def test_a_gate_warms_up_with_one_prompt_and_with_a_whole_batch_and_counts_neither(
    gate, qwen2, meter
):
    with Passes(qwen2) as passes:
        await gate.warm_up()
    alone, *together = (rows for rows, _ in passes.shapes)
    assert (alone, sum(together)) == (1, 16)
    assert max(together) > 1
    assert counted(meter, "recal_score_count", language="sw", calibration_version="sw@3") is None
    assert counted(meter, "recal_stage_seconds_count", stage="gate_pass") is None


async def test_a_gate_without_a_readout_has_nothing_to_warm_up(qwen2, meter):
    gate = GateService(qwen2, Held(None), Policy(), meter)
    with Passes(qwen2) as passes:
        await gate.warm_up()
    await gate.close()
    assert passes.shapes == []


async def test_a_model_that_cannot_run_is_found_before_the_gate_is_ready(qwen2, bundle, meter):
    readout = with_linear(bundle.readout, LinearReadout(torch.zeros(8), 0.0))
    gate = GateService(qwen2, Held(Bundle(readout, bundle.calibrations)), Policy(), meter)
    with pytest.raises(ServiceError, match="could not score"):
        await gate.warm_up()
    await gate.close()


async def test_scores_of_a_bfloat16_backbone_are_float32_of_what_it_read(checkpoints, meter):
    half = load_backbone(str(checkpoints["qwen2"]), dtype=torch.bfloat16, n_blocks=2)
    readout = tiny_readout(half)
    gate = GateService(
        half, Held(tiny_bundle(readout, tiny_calibration(readout, "sw"))), Policy(), meter
    )
    score = (await gate.check(GateRequest(PROMPT, SW))).verdict.score
    await gate.close()
    [read] = residuals(half, [encode_prompt(half.tokenizer, PROMPT)], places=readout.places)
    exact = float(readout.score(read.double().float()))
    assert score == pytest.approx(exact, rel=1e-6)
    assert score != float(torch.tensor(score).bfloat16())  # nothing rounds it on its way
