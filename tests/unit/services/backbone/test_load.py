import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from services.backbone.hooks import capture
from services.backbone.load import load_backbone
from services.errors import ArtefactRefused
from tests.unit.services.tiny import CONTEXT, D_MODEL, N_LAYERS, TEXTS


@pytest.fixture
def broken(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(checkpoints["qwen2"], tmp_path / "broken"))


def edit_config(directory: Path, **changes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_whole_backbone_says_what_it_is(backbone, architecture):
    assert backbone.identity.name == f"tiny-{architecture}"
    assert backbone.identity.architecture.lower() == f"{architecture}forcausallm"
    assert (backbone.identity.d_model, backbone.identity.n_layers) == (D_MODEL, N_LAYERS)
    assert backbone.max_prompt_tokens == CONTEXT
    assert len(backbone.blocks) == N_LAYERS
    assert not backbone.model.training
    assert not any(p.requires_grad for p in backbone.model.parameters())


def test_a_truncated_backbone_computes_the_same_residual(backbone, architecture, checkpoints):
    truncated = load_backbone(str(checkpoints[architecture]), n_blocks=2)
    ids = torch.tensor([[4, 9, 30, 12, 5]])
    with torch.no_grad(), capture(backbone.blocks, [1]) as whole:
        backbone.model(ids)
    with torch.no_grad(), capture(truncated.blocks, [1]) as part:
        truncated.model(ids)
    assert len(truncated.blocks) == 2
    assert torch.equal(whole[1], part[1])


def test_a_truncated_backbone_has_the_identity_of_the_whole_one(qwen2, checkpoints):
    assert load_backbone(str(checkpoints["qwen2"]), n_blocks=1).identity == qwen2.identity


def test_what_is_left_out_on_purpose_is_not_logged(checkpoints, caplog, capfd):
    logging.getLogger("transformers").propagate = True
    with caplog.at_level(logging.WARNING):
        load_backbone(str(checkpoints["llama"]), n_blocks=1)
    logging.getLogger("transformers").propagate = False
    assert "UNEXPECTED" not in caplog.text + capfd.readouterr().err


def test_transformers_logs_as_before_afterwards(checkpoints):
    loader = logging.getLogger("transformers.modeling_utils")
    before = (list(loader.filters), loader.level)
    load_backbone(str(checkpoints["llama"]), n_blocks=1)
    assert (list(loader.filters), loader.level) == before


def test_the_checkpoints_dtype_is_kept_unless_another_is_given(checkpoints):
    path = str(checkpoints["qwen2"])
    assert load_backbone(path).model.dtype == torch.float32
    assert load_backbone(path, dtype=torch.bfloat16).model.dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_changed_byte_changes_the_weights_digest(qwen2, broken: Path, name: str):
    if name == "config.json":
        edit_config(broken, rms_norm_eps=2e-6)
    else:
        weights = load_file(broken / name)
        weights["model.norm.weight"][0] += 1e-3
        save_file(weights, broken / name, metadata={"format": "pt"})
    identity = load_backbone(str(broken)).identity
    assert identity.weights_digest != qwen2.identity.weights_digest
    assert identity.tokenizer_digest == qwen2.identity.tokenizer_digest


def test_another_vocabulary_changes_the_tokenizer_digest_alone(qwen2, broken: Path):
    path = broken / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["merges"].pop()
    path.write_text(json.dumps(content))
    identity = load_backbone(str(broken)).identity
    assert identity.tokenizer_digest != qwen2.identity.tokenizer_digest
    assert identity.weights_digest == qwen2.identity.weights_digest


def test_another_chat_template_changes_its_digest_alone(qwen2, broken: Path):
    template = broken / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    identity = load_backbone(str(broken)).identity
    assert identity.chat_template_digest != qwen2.identity.chat_template_digest
    assert identity.tokenizer_digest == qwen2.identity.tokenizer_digest


def test_the_tokenizer_is_the_checkpoints_own_and_not_one_that_the_model_type_suggests(
    backbone, checkpoints, architecture
):
    saved = Tokenizer.from_file(str(checkpoints[architecture] / "tokenizer.json"))
    for text in (*TEXTS, "two  spaces, don't 123", "e\u0301"):
        found = backbone.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert found == saved.encode(text, add_special_tokens=False).ids


def test_a_missing_path_is_named():
    with pytest.raises(ArtefactRefused, match=r"no directory `\./weights/nobody`"):
        load_backbone("./weights/nobody")


def test_a_directory_without_a_model_is_named(tmp_path: Path):
    with pytest.raises(ArtefactRefused, match=r"no config\.json"):
        load_backbone(str(tmp_path))


def test_a_model_without_chat_template_is_refused(broken: Path):
    (broken / "chat_template.jinja").unlink()
    with pytest.raises(ArtefactRefused, match="`broken` has no chat template"):
        load_backbone(str(broken))


def test_a_model_type_that_nobody_knows_is_refused(broken: Path):
    edit_config(broken, model_type="hal9000")
    with pytest.raises(ArtefactRefused, match="architecture may be unknown"):
        load_backbone(str(broken))


def test_a_model_that_is_no_causal_language_model_is_refused(broken: Path):
    edit_config(broken, architectures=["Qwen2ForSequenceClassification"])
    with pytest.raises(ArtefactRefused, match="`Qwen2ForSequenceClassification`, which is no"):
        load_backbone(str(broken))


def test_missing_weights_are_refused(broken: Path):
    (broken / "model.safetensors").unlink()
    with pytest.raises(ArtefactRefused, match=r"no `model\.safetensors`"):
        load_backbone(str(broken))


def test_a_checkpoint_that_lacks_a_weight_is_refused(broken: Path):
    weights = load_file(broken / "model.safetensors")
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtefactRefused, match=r"1 are missing, e\.g\. .*up_proj"):
        load_backbone(str(broken), n_blocks=1)


def test_truncated_weights_are_refused(broken: Path):
    path = broken / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ArtefactRefused, match="weights of `broken` cannot be loaded"):
        load_backbone(str(broken))


@pytest.mark.parametrize("n_blocks", [0, N_LAYERS + 1])
def test_blocks_that_are_not_there_are_refused(checkpoints, n_blocks: int):
    with pytest.raises(ArtefactRefused, match=f"cannot load {n_blocks} blocks"):
        load_backbone(str(checkpoints["qwen2"]), n_blocks=n_blocks)


def test_an_unknown_device_is_refused(checkpoints):
    with pytest.raises(ArtefactRefused, match="`abacus` is no torch device"):
        load_backbone(str(checkpoints["qwen2"]), device="abacus")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(checkpoints):
    with pytest.raises(ArtefactRefused, match="sees no GPU"):
        load_backbone(str(checkpoints["qwen2"]), device="cuda")
