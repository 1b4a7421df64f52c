import pytest
import torch

from services.backbone.load import Backbone
from services.domain import Sampling
from services.errors import InvalidRequest, ServiceError
from services.generation.decode import Batch
from services.generation.offline import first_token_logits, generate_texts
from services.generation.treatment import UNTOUCHED, Treatment
from tests.unit.services.generation.rows import PROMPTS, a_row, mixed
from tests.unit.services.tiny import tiny_readout

SAMPLING = Sampling(max_tokens=12)


def treatments(backbone: Backbone) -> list[Treatment]:
    return [*mixed(tiny_readout(backbone), tiny_readout(backbone, seed=3)), UNTOUCHED]


@pytest.mark.parametrize("max_rows", [1, 2, 32])
def test_texts_come_in_the_prompts_order_however_many_run_together(backbone, max_rows: int):
    together = generate_texts(backbone, PROMPTS, treatments(backbone), SAMPLING, max_rows=max_rows)
    alone = [
        generate_texts(backbone, [prompt], [treatment], SAMPLING)[0]
        for prompt, treatment in zip(PROMPTS, treatments(backbone), strict=True)
    ]
    assert together == alone
    assert len(set(alone)) == len(alone)


def test_the_first_tokens_logits_are_those_of_each_row_alone_under_its_treatment(
    backbone: Backbone,
) -> None:
    treated = treatments(backbone)
    together = first_token_logits(backbone, PROMPTS, treated, max_rows=4)
    alone = [
        first_token_logits(backbone, [prompt], [treatment])
        for prompt, treatment in zip(PROMPTS, treated, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-3, rtol=1e-4)
    untouched = first_token_logits(backbone, PROMPTS, [UNTOUCHED] * len(PROMPTS))
    moved = (together - untouched).abs().amax(dim=1) > 0.1
    assert moved.tolist() == [t is not UNTOUCHED for t in treated]


def test_the_likeliest_first_token_is_the_one_that_is_generated(qwen2: Backbone) -> None:
    treated = treatments(qwen2)
    rows = [a_row(qwen2, p, t) for p, t in zip(PROMPTS, treated, strict=True)]
    likeliest = first_token_logits(qwen2, PROMPTS, treated).argmax(dim=1)
    assert likeliest.tolist() == Batch(qwen2).admit(rows)


def test_progress_is_reported(qwen2: Backbone):
    seen: list[tuple[int, int]] = []
    sampling = Sampling(max_tokens=2)
    generate_texts(
        qwen2, PROMPTS[:3], [UNTOUCHED] * 3, sampling, max_rows=1, report=lambda *n: seen.append(n)
    )
    assert seen[-1] == (3, 3)
    assert (1, 3) in seen


def test_a_prompt_that_does_not_fit_is_named_by_its_index(qwen2: Backbone):
    with pytest.raises(InvalidRequest, match="prompt 1 and its answer"):
        generate_texts(qwen2, ["hi", "x " * 200], [UNTOUCHED] * 2, SAMPLING)


def test_logits_that_are_not_finite_are_an_error(qwen2: Backbone):
    spoil = qwen2.blocks[-1].register_forward_hook(lambda module, args, out: out * float("nan"))
    try:
        with pytest.raises(ServiceError, match="not finite"):
            generate_texts(qwen2, ["hi"], [UNTOUCHED], SAMPLING)
    finally:
        spoil.remove()


def test_there_must_be_a_treatment_for_each_prompt(qwen2: Backbone):
    with pytest.raises(ValueError, match="zip"):
        generate_texts(qwen2, ["hi"], [], SAMPLING)
