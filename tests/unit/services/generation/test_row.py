import pytest

from services.backbone.load import Backbone
from services.domain import FinishReason, TextChunk
from services.generation.row import Row
from tests.unit.services.generation.rows import a_row


def chunks_of(row: Row, tokens: list[int]) -> list[TextChunk]:
    """What it gives until it has finished."""
    chunks = []
    for token in tokens:
        if (chunk := row.accept(token)) is not None:
            chunks.append(chunk)
        if row.finish is not None:
            break
    return chunks


def tokens_for(backbone: Backbone, text: str) -> list[int]:
    return list(backbone.tokenizer.encode(text, add_special_tokens=False))


@pytest.fixture
def end(qwen2: Backbone) -> int:
    return int(qwen2.tokenizer.eos_token_id)


def text_of(chunks: list[TextChunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def test_an_end_token_ends_the_text_and_is_counted_but_not_shown(qwen2: Backbone, end: int):
    row = a_row(qwen2, ends=frozenset({end}))
    tokens = [*tokens_for(qwen2, "hello"), end]
    chunks = chunks_of(row, tokens)
    assert text_of(chunks) == "hello"
    assert chunks[-1].finish is row.finish is FinishReason.END_OF_TEXT
    assert sum(chunk.n_tokens for chunk in chunks) == len(tokens)
    assert [chunk.n_prompt_tokens for chunk in chunks[:-1]] == [0] * (len(chunks) - 1)
    assert chunks[-1].n_prompt_tokens == len(row.prompt_ids)


def test_the_token_limit_ends_the_text(qwen2: Backbone):
    chunks = chunks_of(a_row(qwen2, max_tokens=2), tokens_for(qwen2, "x y z"))
    assert sum(chunk.n_tokens for chunk in chunks) == 2
    assert chunks[-1].finish is FinishReason.MAX_TOKENS


def test_a_stop_string_ends_the_text_before_itself(qwen2: Backbone):
    chunks = chunks_of(a_row(qwen2, stop=("lo w",)), tokens_for(qwen2, "hello world"))
    assert text_of(chunks) == "hel"
    assert chunks[-1].finish is FinishReason.STOP_STRING


def test_the_beginning_of_a_stop_string_comes_out_at_the_end_of_the_text(qwen2, end):
    row = a_row(qwen2, stop=("lo world",), ends=frozenset({end}))
    chunks = chunks_of(row, [*tokens_for(qwen2, "hello wor"), end])
    assert text_of(chunks) == "hello wor"
    assert chunks[-1].finish is FinishReason.END_OF_TEXT


def test_the_beginning_of_a_stop_string_comes_out_at_the_token_limit(qwen2: Backbone):
    tokens = tokens_for(qwen2, "hello wor")
    row = a_row(qwen2, stop=("lo world",), max_tokens=len(tokens))
    assert text_of(chunks_of(row, tokens)) == "hello wor"


def test_a_character_that_the_limit_cuts_apart_is_left_out(qwen2: Backbone):
    tokens = tokens_for(qwen2, "a🙂")
    assert len(tokens) > 2
    row = a_row(qwen2, max_tokens=len(tokens) - 1)
    assert text_of(chunks_of(row, tokens)) == "a"


def test_a_character_that_the_model_leaves_broken_is_shown_as_broken(qwen2, end):
    tokens = tokens_for(qwen2, "a🙂")
    row = a_row(qwen2, ends=frozenset({end}))
    assert text_of(chunks_of(row, [*tokens[:-1], end])) == "a\ufffd"


def test_tokens_without_text_are_counted_with_the_next_piece(qwen2: Backbone):
    tokens = tokens_for(qwen2, "🙂")
    [chunk] = chunks_of(a_row(qwen2), tokens)
    assert (chunk.text, chunk.n_tokens) == ("🙂", len(tokens))


def test_a_greedy_row_draws_no_numbers(qwen2: Backbone):
    assert a_row(qwen2).draw() == 0.0


def test_a_seed_fixes_the_numbers_that_are_drawn(qwen2: Backbone):
    rows = [a_row(qwen2, temperature=1.0, seed=seed) for seed in (7, 7, 8)]
    first, same, other = ([row.draw() for _ in range(3)] for row in rows)
    assert first == same != other
    assert all(0.0 <= number < 1.0 for number in first)
