import math

import pytest

from services.backbone.load import Backbone
from services.domain import FinishReason, MonitorStop, TextChunk
from services.generation.monitor import monitor_of
from services.generation.row import Row
from tests.unit.services.generation.rows import a_row
from tests.unit.services.tiny import tiny_readout


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


def watched(
    backbone: Backbone, *, threshold: float = 1.0, every: int = 2, **options: object
) -> Row:
    monitor = monitor_of(tiny_readout(backbone), threshold=threshold, every=every)
    return a_row(backbone, monitor=monitor, **options)


def read_and_accept(row: Row, tokens: list[int], scores: list[float]) -> list[TextChunk | None]:
    """As the batch does it: each token but the first comes with the score of the one before."""
    assert row.watch is not None
    found = []
    for token, score in zip(tokens, [None, *scores], strict=True):
        if score is not None:
            row.watch.read(score)
        found.append(row.accept(token))
    return found


def test_text_of_a_watched_answer_comes_when_it_was_looked_at_and_not_before(qwen2: Backbone):
    tokens = tokens_for(qwen2, "abcdef")
    assert len(tokens) == 6
    found = read_and_accept(watched(qwen2), tokens, [0.0] * 5)
    assert [chunk and chunk.text for chunk in found] == [None, None, "ab", None, "cd", None]


def test_a_watched_answer_that_ends_is_looked_at_and_comes_whole(qwen2: Backbone, end: int):
    row = watched(qwen2, every=16, ends=frozenset({end}))
    tokens = [*tokens_for(qwen2, "abc"), end]
    *before, last = read_and_accept(row, tokens, [0.0] * 3)
    assert before == [None] * 3
    assert last == TextChunk("abc", 4, FinishReason.END_OF_TEXT, len(row.prompt_ids))


@pytest.mark.parametrize(
    ("bad", "stop"), [(9.0, MonitorStop.SCORE), (math.nan, MonitorStop.NON_FINITE)]
)
def test_a_withdrawn_answer_ends_without_the_text_that_was_held_back(
    qwen2: Backbone, bad: float, stop: MonitorStop
):
    row = watched(qwen2)
    found = read_and_accept(row, tokens_for(qwen2, "abcde"), [0.0, 0.0, 0.0, bad])
    shown, last = [chunk for chunk in found if chunk is not None]
    assert shown.text == "ab"
    n_prompt = len(row.prompt_ids)
    assert last == TextChunk("", 2, FinishReason.MONITOR, n_prompt, withdrawn_by=stop)
    assert row.finish is FinishReason.MONITOR


def test_a_short_answer_is_looked_at_before_it_is_sent(qwen2: Backbone, end: int):
    row = watched(qwen2, every=16, ends=frozenset({end}))
    *_, last = read_and_accept(row, [*tokens_for(qwen2, "ab"), end], [9.0, 9.0])
    assert last is not None
    assert (last.text, last.finish, last.n_tokens) == ("", FinishReason.MONITOR, 3)


def test_a_watched_answer_that_nobody_could_read_a_token_of_ends_as_it_ends(qwen2: Backbone):
    [chunk] = read_and_accept(watched(qwen2, max_tokens=1), tokens_for(qwen2, "a"), [])
    assert chunk is not None
    assert (chunk.text, chunk.finish) == ("a", FinishReason.MAX_TOKENS)


def test_a_stop_string_ends_a_watched_answer_as_any_other(qwen2: Backbone):
    row = watched(qwen2, every=16, stop=("de",))
    *_, last = read_and_accept(row, tokens_for(qwen2, "abcde"), [0.0] * 4)
    assert last is not None
    assert (last.text, last.finish) == ("abc", FinishReason.STOP_STRING)
