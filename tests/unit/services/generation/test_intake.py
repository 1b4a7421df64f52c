from __future__ import annotations

from services.backbone.load import load_backbone
from services.generation.intake import end_tokens


def test_end_tokens_come_from_the_generation_config_or_else_the_tokenizer(checkpoints):
    backbone = load_backbone(str(checkpoints["qwen2"]))
    config = backbone.model.generation_config
    for named, expected in [(5, {5}), ([5, 6], {5, 6}), (None, {2})]:
        config.eos_token_id = named
        assert end_tokens(backbone) == expected
