"""The shapes are those of the published models, and what is done to them is what serving does."""

from __future__ import annotations

import argparse

import pytest
import torch
from transformers import AutoModelForCausalLM

from benchmarks.gpu import shapes
from benchmarks.gpu.compiled import Intervention
from benchmarks.gpu.options import add_options, batches_of

BILLIONS = {"qwen2.5-7b": 7.6, "gemma-2-9b": 9.2, "llama-3.1-8b": 8.0}
"""Parameters of the published checkpoints."""
LAYERS_READ = {"qwen2.5-7b": 15, "gemma-2-9b": 20, "llama-3.1-8b": 10}


def options_of(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args([*given])


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_a_shape_has_the_parameters_of_its_model_and_reads_the_papers_block(name: str) -> None:
    shape = shapes.SHAPES[name]
    tied = name == "gemma-2-9b"
    config = shape.config(
        **shape.sizes, tie_word_embeddings=tied, pad_token_id=0, bos_token_id=None, eos_token_id=1
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    n_parameters = sum({id(p): p.numel() for p in model.parameters()}.values())
    assert n_parameters / 1e9 == pytest.approx(BILLIONS[name], abs=0.06)
    assert round(shape.reads * config.num_hidden_layers) == LAYERS_READ[name]


def test_without_an_accelerator_a_small_model_of_the_same_architecture_is_made() -> None:
    backbone = shapes.make("llama-3.1-8b", options_of("--device", "cpu"))
    assert backbone.identity.architecture == "LlamaForCausalLM"
    assert sum(p.numel() for p in backbone.model.parameters()) < 3e6
    assert len(shapes.first_blocks(backbone, 2).blocks) == 2


def test_the_floor_counts_two_operations_for_each_weight_of_the_blocks() -> None:
    backbone = shapes.make("qwen2.5-7b", options_of("--device", "cpu"))
    whole = shapes.flops_of_a_token(backbone)
    assert shapes.flops_of_a_token(backbone, n_blocks=2) == whole / 2
    block = backbone.blocks[0]
    weights = sum(p.numel() for p in block.parameters() if p.ndim == 2)
    assert whole == 2 * weights * len(backbone.blocks)


def test_an_unknown_shape_and_a_batch_of_none_are_told_in_words() -> None:
    with pytest.raises(SystemExit, match="no shape `gpt`; choose of qwen2.5-7b"):
        shapes.make("gpt", options_of("--device", "cpu"))
    with pytest.raises(SystemExit, match="--batches: `0` is no number"):
        batches_of(options_of("--batches", "1,0"))


def test_the_buffered_intervention_does_what_serving_does_to_each_row() -> None:
    generator = torch.Generator().manual_seed(0)
    residual = torch.randn(3, 1, 16, generator=generator)
    direction = torch.nn.functional.normalize(torch.randn(16, generator=generator), dim=0)
    intervention = Intervention(direction, 3)
    assert torch.equal(intervention(torch.nn.Identity(), (), residual), residual)
    intervention.shift[0], intervention.scale[1] = 4.0, -1.0
    found = intervention(torch.nn.Identity(), (), residual)
    assert torch.equal(found[2], residual[2])
    steered = residual[0] + 4.0 * direction
    ablated = residual[1] - (residual[1] @ direction).unsqueeze(-1) * direction
    torch.testing.assert_close(found[:2], torch.stack([steered, ablated]))
