import dataclasses

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM

from services.backbone.blocks import find_blocks
from services.backbone.hooks import ending_after
from services.backbone.load import Backbone
from services.errors import ArtefactRefused, ServiceError
from services.generation.attention import _packed, packed_attention
from services.generation.decode import Batch
from tests.unit.services.generation.rows import a_row


def test_a_model_that_attends_in_a_way_of_its_own_is_refused_before_anything_runs(qwen2: Backbone):
    model = BloomForCausalLM(BloomConfig(n_layer=2, hidden_size=32, n_head=2, vocab_size=320))
    bloom = dataclasses.replace(qwen2, model=model, blocks=find_blocks(model))
    with pytest.raises(ArtefactRefused, match="`BloomForCausalLM` cannot generate here"):
        Batch(bloom)


def test_a_kind_of_block_that_is_not_known_is_refused_by_name(qwen2: Backbone):
    config = qwen2.model.config
    before, config.layer_types = config.layer_types, ["linear_attention"] * len(qwen2.blocks)
    try:
        with pytest.raises(ArtefactRefused, match="its attention is linear_attention"):
            Batch(qwen2)
    finally:
        config.layer_types = before


def attend(backbone: Backbone, block: int, **others: object) -> None:
    query = torch.ones(1, 4, 1, 8)
    _packed(backbone.blocks[block].self_attn, query, query, query, None, **others)


def test_what_attention_is_given_and_does_not_know_is_named(qwen2: Backbone):
    with pytest.raises(ServiceError, match="takes `s_aux`, which packed passes do not know"):
        attend(qwen2, 0, s_aux=torch.ones(4))


def test_a_model_that_does_not_hand_the_rows_on_is_refused(qwen2: Backbone):
    with pytest.raises(ServiceError, match="does not hand on what packed passes give it"):
        attend(qwen2, 0)


def test_a_sliding_block_that_keeps_its_window_to_itself_is_refused(backbones):
    gemma2 = backbones["gemma2"]
    assert gemma2.model.config.layer_types[0] == "sliding_attention"
    with pytest.raises(ServiceError, match="does not say how far block 0 looks back"):
        attend(gemma2, 0, packed=object(), softcap=50.0)


def test_the_models_own_attention_is_back_after_a_pass_and_after_one_that_fails(qwen2: Backbone):
    own = qwen2.model.config._attn_implementation
    Batch(qwen2).admit([a_row(qwen2)])
    assert qwen2.model.config._attn_implementation == own
    with pytest.raises(ZeroDivisionError), packed_attention(qwen2.model):
        1 / 0  # noqa: B018
    assert qwen2.model.config._attn_implementation == own


def test_a_pass_that_ends_early_runs_no_block_behind_and_other_errors_come_through(qwen2: Backbone):
    ids, ran = torch.tensor([[5, 6]]), []
    handles = [
        b.register_forward_hook(lambda *a, i=i: ran.append(i)) for i, b in enumerate(qwen2.blocks)
    ]
    try:
        with ending_after(qwen2.blocks, 1):
            qwen2.model(input_ids=ids)
        assert ran == [0, 1]
        with pytest.raises(IndexError), ending_after(qwen2.blocks, 1):
            qwen2.model(input_ids=torch.tensor([[10**6]]))
        ran.clear()
        qwen2.model(input_ids=ids)
        assert ran == list(range(len(qwen2.blocks)))
    finally:
        for handle in handles:
            handle.remove()
