import pytest
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from services.backbone.blocks import find_blocks
from services.backbone.load import Backbone
from services.errors import ArtefactRefused
from tests.unit.services.tiny import N_LAYERS


def test_blocks_are_found_in_order(backbone: Backbone):
    blocks = find_blocks(backbone.model)
    assert [block.self_attn.layer_idx for block in blocks] == list(range(N_LAYERS))


def test_gpt2_keeps_its_blocks_under_another_name():
    model = GPT2LMHeadModel(GPT2Config(n_layer=3, n_embd=8, n_head=2, vocab_size=10))
    assert len(find_blocks(model)) == 3


def test_an_unknown_architecture_is_refused_by_name():
    model = T5ForConditionalGeneration(
        T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=10)
    )
    model.decoder.block = nn.ModuleList()
    with pytest.raises(ArtefactRefused, match="decoder blocks of `T5ForConditionalGeneration`"):
        find_blocks(model)
