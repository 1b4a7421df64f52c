import dataclasses

import pytest
import torch
from transformers import GPT2Config, GPT2Model

from services.backbone.blocks import find_blocks
from services.backbone.chat import encode
from services.backbone.load import Backbone, load_backbone
from services.gate.extract import buckets, residuals
from tests.unit.services.tiny import TEXTS

PROMPTS = (*TEXTS, "hi", "a", " ".join(TEXTS[:2]), "x" * 60)


def encoded(backbone: Backbone) -> list[list[int]]:
    return [encode(backbone.tokenizer, prompt) for prompt in PROMPTS]


def test_residuals_equal_a_plain_forward_of_each_prompt_alone(backbone: Backbone):
    token_ids = encoded(backbone)
    found = residuals(backbone, token_ids, layers=[0, 2])
    for row, ids in zip(found, token_ids, strict=True):
        with torch.no_grad():
            states = backbone.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        torch.testing.assert_close(row[0], states[1][0, -1], atol=1e-4, rtol=0)
        torch.testing.assert_close(row[1], states[3][0, -1], atol=1e-4, rtol=0)


def test_a_batch_of_one_equals_a_batch_of_many(backbone: Backbone):
    token_ids = encoded(backbone)
    many = residuals(backbone, token_ids, layers=[3])
    alone = torch.cat([residuals(backbone, [ids], layers=[3]) for ids in token_ids])
    torch.testing.assert_close(many, alone, atol=1e-4, rtol=0)
    assert (many[0] - many[1]).abs().max() > 1e-2


def test_positions_are_right_where_they_are_absolute(qwen2: Backbone):
    torch.manual_seed(0)
    config = GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=400, initializer_range=0.3)
    model = GPT2Model(config).eval()
    absolute = dataclasses.replace(qwen2, model=model, blocks=find_blocks(model))
    token_ids = encoded(qwen2)
    many = residuals(absolute, token_ids, layers=[0])
    alone = torch.cat([residuals(absolute, [ids], layers=[0]) for ids in token_ids])
    torch.testing.assert_close(many, alone, atol=1e-4, rtol=0)


def test_a_truncated_backbone_gives_the_same_residuals(backbone, architecture, checkpoints):
    truncated = load_backbone(str(checkpoints[architecture]), n_blocks=2)
    token_ids = encoded(backbone)
    whole = residuals(backbone, token_ids, layers=[1])
    assert torch.equal(residuals(truncated, token_ids, layers=[1]), whole)


def test_earlier_positions_count_from_the_end_of_each_prompt(qwen2: Backbone):
    token_ids = encoded(qwen2)[:3]
    earlier = residuals(qwen2, token_ids, layers=[1], position=-3)
    cut = residuals(qwen2, [ids[:-2] for ids in token_ids], layers=[1])
    torch.testing.assert_close(earlier, cut, atol=1e-4, rtol=0)


def test_a_tight_budget_changes_nothing_but_the_batches(qwen2: Backbone):
    token_ids = encoded(qwen2)
    roomy = residuals(qwen2, token_ids, layers=[1])
    tight = residuals(qwen2, token_ids, layers=[1], max_tokens=1)
    torch.testing.assert_close(tight, roomy, atol=1e-4, rtol=0)


def test_half_precision_residuals_come_out_in_float32(checkpoints):
    half = load_backbone(str(checkpoints["qwen2"]), dtype=torch.bfloat16, n_blocks=1)
    assert residuals(half, [[5, 6]], layers=[0]).dtype == torch.float32


def test_residuals_may_be_used_outside_of_inference(qwen2: Backbone):
    assert not residuals(qwen2, [[5, 6]], layers=[0]).is_inference()


def test_no_prompts_give_no_residuals(qwen2: Backbone):
    assert residuals(qwen2, [], layers=[0, 1]).shape == (0, 2, 32)


@pytest.mark.parametrize(
    ("layers", "position", "words"),
    [
        ([4], -1, "blocks .*4.*; 0..3 are loaded"),
        ([-1], -1, "0..3 are loaded"),
        ([], -1, "cannot read"),
        ([0], 0, "counts from the end"),
        ([0], -3, "a prompt of 2 tokens"),
    ],
)
def test_what_is_not_there_cannot_be_read(
    qwen2: Backbone, layers: list[int], position: int, words: str
):
    with pytest.raises(ValueError, match=words):
        residuals(qwen2, [[5, 6], [5, 6, 7]], layers=layers, position=position)


def test_buckets_hold_every_row_once_within_the_budget():
    lengths = [5, 300, 7, 90, 6, 100, 8, 310]
    found = buckets(lengths, max_tokens=320)
    assert sorted(row for bucket in found for row in bucket) == list(range(len(lengths)))
    for bucket in found:
        longest = max(lengths[row] for row in bucket)
        assert len(bucket) == 1 or len(bucket) * longest <= 320


def test_buckets_keep_short_rows_from_long_ones():
    assert buckets([200, 10, 190, 12], max_tokens=10_000) == [[1, 3], [2, 0]]
