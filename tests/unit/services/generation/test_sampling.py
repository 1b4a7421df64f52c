from math import inf, nan

import torch
from torch import Tensor

from services.generation.sampling import NO_TOKEN
from services.generation.sampling import choose as choose_on_device


def choose(logits: Tensor, **sampling: list[float]) -> list[int]:
    tokens: list[int] = choose_on_device(logits, **sampling).tolist()
    return tokens


LOGITS = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()


def draw_many(logits: Tensor, *, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Shares of each token over an even grid of draws."""
    n = 1000
    draws = [(i + 0.5) / n for i in range(n)]
    tokens = choose(
        logits.expand(n, -1), temperature=[temperature] * n, top_p=[top_p] * n, draws=draws
    )
    return torch.bincount(torch.tensor(tokens), minlength=logits.shape[-1]) / n


def one(logits: Tensor, temperature: float = 1.0, top_p: float = 1.0, draw: float = 0.5) -> int:
    return choose(logits[None], temperature=[temperature], top_p=[top_p], draws=[draw])[0]


def test_greedy_takes_the_most_probable_token():
    assert one(LOGITS, temperature=0.0, draw=0.99) == 0


def test_greedy_takes_the_first_of_equals_in_every_dtype():
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        assert one(torch.tensor([0.1, 0.7, 0.2, 0.7], dtype=dtype), temperature=0.0) == 1


def test_draws_follow_the_probabilities():
    torch.testing.assert_close(draw_many(LOGITS), LOGITS.exp(), atol=2e-3, rtol=0)


def test_temperature_sharpens_and_flattens():
    assert draw_many(LOGITS, temperature=0.5)[0] > 0.6
    assert draw_many(LOGITS, temperature=2.0)[0] < 0.4


def test_the_nucleus_is_the_smallest_set_that_reaches_its_mass():
    shares = draw_many(LOGITS, top_p=0.7)
    torch.testing.assert_close(shares, torch.tensor([0.625, 0.375, 0, 0]), atol=2e-3, rtol=0)


def test_the_nucleus_holds_the_most_probable_token_however_small_it_is():
    assert draw_many(LOGITS, top_p=1e-9)[0] == 1.0


def test_a_tiny_temperature_is_greedy_and_not_an_error():
    assert one(LOGITS, temperature=1e-300, draw=0.999) == 0


def test_a_token_of_no_probability_is_never_drawn():
    logits = torch.tensor([-inf, 0.0, -inf, 0.0])
    assert [one(logits, draw=d) for d in (0.0, 0.49, 0.5, 1 - 2**-53)] == [1, 1, 3, 3]


def test_every_row_has_its_own_sampling():
    tokens = choose(
        LOGITS.expand(4, -1),
        temperature=[0.0, 1.0, 1.0, 1.0],
        top_p=[1.0, 1.0, 0.4, 1.0],
        draws=[0.99, 0.99, 0.99, 0.6],
    )
    assert tokens == [0, 3, 0, 1]


def test_rows_with_logits_that_are_not_finite_have_no_token():
    logits = torch.stack([LOGITS, torch.full((4,), nan), torch.tensor([0.0, inf, 0.0, 0.0])])
    for temperature in (0.0, 1.0):
        tokens = choose(logits, temperature=[temperature] * 3, top_p=[0.5] * 3, draws=[0.1] * 3)
        assert tokens == [0, NO_TOKEN, NO_TOKEN]


def test_half_precision_logits_are_drawn_from_in_double_precision():
    assert one(LOGITS.bfloat16(), draw=0.9) == 2
