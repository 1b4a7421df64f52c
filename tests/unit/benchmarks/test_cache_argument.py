import pytest
from torch import Tensor, nn

from benchmarks.cache_argument import cache_argument


class Renamed(nn.Module):
    """As of transformers 5.24."""

    def forward(self, input_ids: Tensor, cache: object = None, **kwargs: object) -> None:
        """Do nothing."""


class Older(nn.Module):
    """As before it; a newer transformers has such models too."""

    def forward(self, input_ids: Tensor, past_key_values: object = None, **kwargs: object) -> None:
        """Do nothing."""


@pytest.mark.parametrize(("model", "name"), [(Renamed(), "cache"), (Older(), "past_key_values")])
def test_keys_and_values_go_in_under_the_name_that_the_model_knows(model: nn.Module, name: str):
    assert cache_argument(model) == name
