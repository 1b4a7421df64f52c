import dataclasses

import pytest
import torch
from transformers import GPT2Config, GPT2Model

from services.backbone.blocks import find_blocks
from services.backbone.chat import EncodedPrompt, encode_prompt
from services.backbone.load import Backbone, load_backbone
from services.gate.extract import residuals
from services.readout.place import READINGS, Place, Reading
from tests.unit.services.tiny import TEXTS

PROMPTS = (*TEXTS, "hi", "a", " ".join(TEXTS[:2]), "x" * 60)
TWO = [EncodedPrompt([5, 6], 0), EncodedPrompt([5, 6, 7], 1)]


@pytest.fixture(params=READINGS)
def reading(request: pytest.FixtureRequest) -> Reading:
    """Each of the three readings in turn."""
    found: Reading = request.param
    return found


def encoded(backbone: Backbone) -> list[EncodedPrompt]:
    return [encode_prompt(backbone.tokenizer, prompt) for prompt in PROMPTS]


def by_hand(state: torch.Tensor, prompt: EncodedPrompt, reading: Reading) -> torch.Tensor:
    """A reading of one prompt's states, (seq, d_model), where nothing is padded."""
    if reading == "mean":
        return state.mean(dim=0)
    return state[-1] if reading == "last" else state[prompt.instruction_end]


def test_readings_equal_a_plain_forward_of_each_prompt_alone(backbone: Backbone, reading: Reading):
    prompts = encoded(backbone)
    found = residuals(backbone, prompts, places=[Place(0, reading), Place(2, reading)])
    for row, prompt in zip(found, prompts, strict=True):
        ids = torch.tensor([prompt.token_ids])
        with torch.no_grad():
            states = backbone.model(ids, output_hidden_states=True).hidden_states
        for index, state in enumerate((states[1][0], states[3][0])):
            expected = by_hand(state, prompt, reading)
            torch.testing.assert_close(row[index], expected, atol=1e-4, rtol=0)


def test_a_batch_of_one_equals_a_batch_of_many(backbone: Backbone, reading: Reading):
    prompts = encoded(backbone)
    many = residuals(backbone, prompts, places=[Place(3, reading)])
    alone = torch.cat([residuals(backbone, [p], places=[Place(3, reading)]) for p in prompts])
    torch.testing.assert_close(many, alone, atol=1e-4, rtol=0)
    assert (many[0] - many[1]).abs().max() > 1e-2


def test_the_readings_of_a_prompt_differ(backbone: Backbone):
    found = residuals(backbone, encoded(backbone), places=[Place(1, r) for r in READINGS])
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (found[:, one] - found[:, other]).abs().amax(dim=-1).min() > 1e-2


def test_places_come_in_the_order_in_which_they_were_asked_for(qwen2: Backbone):
    asked = [Place(2, "mean"), Place(0, "instruction"), Place(2, "last"), Place(0, "mean")]
    together = residuals(qwen2, encoded(qwen2), places=asked)
    for index, place in enumerate(asked):
        [alone] = residuals(qwen2, encoded(qwen2), places=[place]).unbind(dim=1)
        assert torch.equal(together[:, index], alone)


def test_what_stands_at_a_pad_is_never_read(qwen2: Backbone, reading: Reading):
    class NotFiniteAtPads(torch.nn.Module):
        """A decoder of one block that shows each token's id, and at pads what is no number."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Identity()])

        def get_decoder(self) -> torch.nn.Module:
            return self

        def forward(self, input_ids, attention_mask, **_: object) -> None:
            shown = input_ids.float().masked_fill(attention_mask == 0, float("nan"))
            self.layers[0](shown.unsqueeze(-1).expand(-1, -1, 32))

    model = NotFiniteAtPads()
    poisoned = dataclasses.replace(qwen2, model=model, blocks=tuple(model.layers))
    found = residuals(poisoned, TWO, places=[Place(0, reading)])[:, 0, 0]
    expected = {"last": [6.0, 7.0], "instruction": [5.0, 6.0], "mean": [5.5, 6.0]}
    assert found.tolist() == expected[reading]


def test_positions_are_right_where_they_are_absolute(qwen2: Backbone):
    torch.manual_seed(0)
    config = GPT2Config(n_layer=1, n_embd=32, n_head=2, vocab_size=400, initializer_range=0.3)
    model = GPT2Model(config).eval()
    absolute = dataclasses.replace(qwen2, model=model, blocks=find_blocks(model))
    prompts = encoded(qwen2)
    many = residuals(absolute, prompts, places=[Place(0, "last")])
    alone = torch.cat([residuals(absolute, [p], places=[Place(0, "last")]) for p in prompts])
    torch.testing.assert_close(many, alone, atol=1e-4, rtol=0)


def test_a_truncated_backbone_gives_the_same_residuals(
    backbone, architecture, checkpoints, reading: Reading
):
    truncated = load_backbone(str(checkpoints[architecture]), n_blocks=2)
    prompts = encoded(backbone)
    whole = residuals(backbone, prompts, places=[Place(1, reading)])
    assert torch.equal(residuals(truncated, prompts, places=[Place(1, reading)]), whole)


def test_a_tight_budget_changes_nothing_but_the_batches(qwen2: Backbone, reading: Reading):
    prompts = encoded(qwen2)
    roomy = residuals(qwen2, prompts, places=[Place(1, reading)])
    tight = residuals(qwen2, prompts, places=[Place(1, reading)], max_tokens=1)
    torch.testing.assert_close(tight, roomy, atol=1e-4, rtol=0)


def test_a_reading_has_the_precision_of_the_backbone_and_comes_out_in_float32(
    checkpoints, reading: Reading
):
    half = load_backbone(str(checkpoints["qwen2"]), dtype=torch.bfloat16, n_blocks=1)
    found = residuals(half, TWO, places=[Place(0, reading)])
    assert found.dtype == torch.float32
    assert torch.equal(found, found.bfloat16().float())


def test_residuals_may_be_used_outside_of_inference(qwen2: Backbone):
    assert not residuals(qwen2, TWO, places=[Place(0, "mean")]).is_inference()


def test_no_prompts_give_no_residuals(qwen2: Backbone):
    places = [Place(0, "last"), Place(1, "mean")]
    assert residuals(qwen2, [], places=places).shape == (0, 2, 32)


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([Place(4, "last")], "blocks .*4.*; 0..3 are loaded"),
        ([Place(-1, "last")], "0..3 are loaded"),
        ([], "cannot read"),
        ([Place(0, "first")], "no reading `first`"),
    ],
)
def test_what_is_not_there_cannot_be_read(qwen2: Backbone, places: list[Place], words: str):
    with pytest.raises(ValueError, match=words):
        residuals(qwen2, TWO, places=places)


@pytest.mark.parametrize("end", [-1, 2])
def test_an_instruction_that_ends_outside_of_its_prompt_is_refused(qwen2: Backbone, end: int):
    with pytest.raises(ValueError, match=f"2 tokens cannot end at {end}"):
        residuals(qwen2, [EncodedPrompt([5, 6], end)], places=[Place(0, "instruction")])


def test_nothing_behind_the_deepest_place_is_run(backbone: Backbone, reading: Reading):
    ran: list[int] = []
    watched = [
        block.register_forward_pre_hook(lambda *_, index=index: ran.append(index))
        for index, block in enumerate(backbone.blocks)
    ]
    residuals(backbone, TWO, places=[Place(1, reading), Place(0, reading)])
    for hook in watched:
        hook.remove()
    assert ran == [0, 1]
