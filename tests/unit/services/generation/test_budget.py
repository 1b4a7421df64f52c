import dataclasses

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from services.backbone.blocks import find_blocks
from services.backbone.load import Backbone
from services.backbone.memory import free_bytes
from services.generation.budget import CacheBudget, bytes_per_token
from services.generation.packed import Chunk, PackedPass
from services.generation.slabs import Held
from tests.unit.services.generation.rows import a_row


def held_bytes(backbone: Backbone) -> float:
    """Keys and values of one token, as a pass leaves them."""
    row = a_row(backbone)
    n_tokens = len(row.prompt_ids)
    chunk = Chunk(row, Held(n_tokens), 0, n_tokens)
    with torch.inference_mode():
        PackedPass(backbone, None, [chunk]).run({}, {})
    parts = [part for held in chunk.held.blocks.values() for part in held]
    return sum(part.numel() * part.element_size() for part in parts) / n_tokens


def test_a_token_takes_what_a_pass_keeps_of_it(backbone: Backbone):
    assert bytes_per_token(backbone) == held_bytes(backbone)


def test_a_token_takes_what_a_pass_keeps_of_it_where_every_head_has_its_own_keys(qwen2: Backbone):
    config = GPT2Config(n_layer=2, n_embd=32, n_head=2, vocab_size=320)
    model = GPT2LMHeadModel(config).eval()
    absolute = dataclasses.replace(qwen2, model=model, blocks=find_blocks(model))
    assert bytes_per_token(absolute) == held_bytes(absolute)


def test_by_default_half_of_what_the_device_has_left_is_for_keys_and_values(qwen2: Backbone):
    before = free_bytes(qwen2.device)
    found = CacheBudget(qwen2, None).max_bytes
    assert 0.2 * before < found < 0.8 * before


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [
        ("5000\n", "2000\n", 3000),
        ("1000\n", "2000\n", 0),
        ("max\n", "2000\n", None),
        (f"{10**18}\n", "2000\n", None),
    ],
)
def test_a_containers_limit_counts_where_it_is_below_what_the_machine_has_left(
    tmp_path, limit: str, used: str, expected: int | None
):
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text(used)
    found = free_bytes(torch.device("cpu"), cgroup=tmp_path)
    assert found == expected if expected is not None else 10**6 < found < 10**15
