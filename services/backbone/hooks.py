"""Read and edit residuals while a model runs; the hooks are removed however the block ends.

Hooks sit on the model, so a model with hooks belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import Any

from torch import Tensor, nn

Edit = Callable[[Tensor], Tensor]
"""(batch, seq, d_model) to the same shape and dtype; does not modify its input."""

_Hook = Callable[[nn.Module, Any, Any], Any]


class _Enough(Exception):  # no error: it ends a pass
    """What was asked for has run."""


@contextmanager
def capture(
    blocks: Sequence[nn.Module],
    layers: Sequence[int],
    *,
    keep: Callable[[Tensor], Tensor] = lambda residual: residual,
    stops: bool = False,
) -> Iterator[dict[int, Tensor]]:
    """Keep the output of decoder blocks.

    Args:
        blocks: the decoder blocks.
        layers: 0-based blocks to read.
        keep: what is kept of a residual, (batch, seq, d_model); all of it by default.
        stops: the pass ends behind the deepest of `layers`, and so does the `with` block: nothing
            deeper is run, neither blocks nor norm nor head.

    Yields:
        By layer, filled while the model runs: what `keep` gave. The last pass wins. Inside an
        `edit` it sees the edited residual.

    Raises:
        ValueError: there is no such block.
    """
    found: dict[int, Tensor] = {}

    def hook_of(layer: int) -> _Hook:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            found[layer] = keep(_residual(output))

        return hook

    end = ending_after(blocks, max(layers)) if stops else nullcontext()
    with _installed(blocks, {layer: hook_of(layer) for layer in layers}), end:
        yield found


@contextmanager
def edit(blocks: Sequence[nn.Module], edits: Mapping[int, Edit]) -> Iterator[None]:
    """Replace the output of decoder blocks by an edit of it.

    Args:
        blocks: the decoder blocks.
        edits: by 0-based block. Without any, no hook is installed.

    Raises:
        ValueError: there is no such block, or an edit changes shape or dtype.
        RuntimeError: a block was never run, so that what was asked for was not done.
    """
    ran: set[int] = set()

    def hook_of(layer: int, change: Edit) -> _Hook:
        def hook(module: nn.Module, args: Any, output: Any) -> Any:
            ran.add(layer)
            residual = _residual(output)
            return _replaced(output, _checked(change(residual), residual, layer))

        return hook

    with _installed(blocks, {layer: hook_of(layer, change) for layer, change in edits.items()}):
        yield
    if missed := sorted(set(edits) - ran):
        raise RuntimeError(f"the edit of blocks {missed} never ran; nothing may rely on this pass")


@contextmanager
def ending_after(blocks: Sequence[nn.Module], layer: int) -> Iterator[None]:
    """End the model's pass when a block has run; what follows in the `with` body is not reached.

    Args:
        blocks: the decoder blocks.
        layer: 0-based block. Hooks that were put on it before this one still run.

    Raises:
        ValueError: there is no such block.
    """

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        raise _Enough

    with _installed(blocks, {layer: hook}), suppress(_Enough):
        yield


@contextmanager
def _installed(blocks: Sequence[nn.Module], hooks: Mapping[int, _Hook]) -> Iterator[None]:
    for layer in hooks:
        if not 0 <= layer < len(blocks):
            raise ValueError(
                f"there is no block {layer}; this model has blocks 0..{len(blocks) - 1}"
            )
    with ExitStack() as stack:
        for layer, hook in hooks.items():
            stack.callback(blocks[layer].register_forward_hook(hook).remove)
        yield


def _residual(output: Any) -> Tensor:
    residual = output[0] if isinstance(output, tuple) else output
    if not isinstance(residual, Tensor):
        raise TypeError(f"a decoder block gave a `{type(residual).__name__}`, not a tensor")
    return residual


def _replaced(output: Any, residual: Tensor) -> Any:
    return (residual, *output[1:]) if isinstance(output, tuple) else residual


def _checked(edited: Tensor, residual: Tensor, layer: int) -> Tensor:
    if edited.shape != residual.shape or edited.dtype != residual.dtype:
        raise ValueError(
            f"the edit of block {layer} made {edited.dtype} {tuple(edited.shape)} of "
            f"{residual.dtype} {tuple(residual.shape)}; both must stay"
        )
    return edited
