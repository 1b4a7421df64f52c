import pytest
import torch
from torch import Tensor, nn

from services.backbone.hooks import capture, edit
from services.backbone.load import Backbone


class TupleBlock(nn.Module):
    def forward(self, residual: Tensor) -> tuple[Tensor, str]:
        return residual + 1, "cache"


def n_hooks(blocks: tuple[nn.Module, ...]) -> int:
    return sum(len(block._forward_hooks) for block in blocks)


def double(residual: Tensor) -> Tensor:
    return residual * 2


BLOCKS = (nn.Identity(), nn.Identity())
RESIDUAL = torch.ones(1, 3, 2)


def test_a_captured_residual_is_the_output_of_that_block(backbone: Backbone):
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad(), capture(backbone.blocks, [0, 2]) as found:
        out = backbone.model(ids, output_hidden_states=True)
    assert torch.equal(found[0], out.hidden_states[1])
    assert torch.equal(found[2], out.hidden_states[3])


def test_a_position_keeps_one_token():
    with capture(BLOCKS, [1], keep=lambda residual: residual[:, -1]) as found:
        BLOCKS[1](RESIDUAL)
    assert found[1].shape == (1, 2)


def test_an_edit_replaces_the_output_of_a_block():
    with edit(BLOCKS, {0: double}):
        assert torch.equal(BLOCKS[0](RESIDUAL), RESIDUAL * 2)
    assert torch.equal(BLOCKS[0](RESIDUAL), RESIDUAL)


def test_an_edit_keeps_what_stands_beside_the_residual_in_a_tuple():
    blocks = (TupleBlock(),)
    with edit(blocks, {0: double}), capture(blocks, [0]) as found:
        residual, beside = blocks[0](RESIDUAL)
    assert torch.equal(residual, RESIDUAL * 4)
    assert beside == "cache"
    assert torch.equal(found[0], residual)


def test_hooks_are_removed_after_an_exception():
    def fail() -> None:
        assert n_hooks(BLOCKS) == 2
        raise KeyError

    with pytest.raises(KeyError), edit(BLOCKS, {0: double}), capture(BLOCKS, [1]):
        fail()
    assert n_hooks(BLOCKS) == 0


def test_hooks_are_removed_when_the_edit_itself_raises():
    def broken(residual: Tensor) -> Tensor:
        raise KeyError

    with pytest.raises(KeyError), edit(BLOCKS, {0: broken}):
        BLOCKS[0](RESIDUAL)
    assert n_hooks(BLOCKS) == 0


def test_no_hook_is_installed_without_edits():
    with edit(BLOCKS, {}):
        assert n_hooks(BLOCKS) == 0


def test_an_edit_that_never_ran_is_an_error():
    with pytest.raises(RuntimeError, match="never ran"), edit(BLOCKS, {0: double, 1: double}):
        BLOCKS[0](RESIDUAL)


def test_an_edit_may_not_change_the_shape():
    with pytest.raises(ValueError, match="both must stay"), edit(BLOCKS, {0: lambda r: r[:, -1]}):
        BLOCKS[0](RESIDUAL)


@pytest.mark.parametrize("layer", [-1, 2])
def test_there_is_no_such_block(layer: int):
    with pytest.raises(ValueError, match=f"no block {layer}; this"), capture(BLOCKS, [layer]):
        pass
    assert n_hooks(BLOCKS) == 0


def test_a_pass_may_end_behind_the_deepest_block_that_is_read(backbone: Backbone):
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad(), capture(backbone.blocks, [0, 2]) as whole:
        backbone.model(ids)
    watched = {
        **{f"block {index}": block for index, block in enumerate(backbone.blocks)},
        "norm": backbone.model.get_decoder().norm,
        "head": backbone.model.get_output_embeddings(),
    }
    n_before = n_hooks(backbone.blocks)  # transformers has some of its own
    ran: list[str] = []
    looks = [
        module.register_forward_pre_hook(lambda *_, name=name: ran.append(name))
        for name, module in watched.items()
    ]
    with torch.no_grad(), capture(backbone.blocks, [2, 0], stops=True) as found:
        backbone.model(ids)
        pytest.fail("the pass went on")
    for look in looks:
        look.remove()
    assert all(torch.equal(found[layer], whole[layer]) for layer in (0, 2))
    assert ran == ["block 0", "block 1", "block 2"]
    assert n_hooks(backbone.blocks) == n_before


def test_an_error_of_a_pass_that_may_end_early_is_an_error():
    with pytest.raises(ZeroDivisionError), capture(BLOCKS, [1], stops=True):
        raise ZeroDivisionError


def test_a_pass_that_may_end_early_ends_only_there():
    with capture(BLOCKS, [0, 1], stops=True) as found:
        BLOCKS[0](RESIDUAL)
        assert set(found) == {0}
        BLOCKS[1](RESIDUAL)
        pytest.fail("the pass went on")
    assert set(found) == {0, 1}
