import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from services.generation.text_stream import TextStream
from tests.unit.services.tiny import END, TEXTS, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


def bytes_of(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    """One token per byte: the most broken that byte-level BPE can be."""
    alphabet = {v: k for k, v in decoders_alphabet().items()}
    return [tokenizer.convert_tokens_to_ids(alphabet[b]) for b in text.encode()]


def decoders_alphabet() -> dict[str, int]:
    """Byte-level BPE's letters for bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(b): b for b in plain}
    others = [b for b in range(256) if b not in plain]
    return letters | {chr(256 + i): b for i, b in enumerate(others)}


def pieces_of(tokenizer: PreTrainedTokenizerFast, tokens: list[int]) -> list[str]:
    stream = TextStream(tokenizer)
    return [*(stream.push(token) for token in tokens), stream.flush()]


@pytest.mark.parametrize("text", [*TEXTS, "👩‍👩‍👧 ආයුබෝවන් ሰላም", "a\ufffdb", ""])
def test_the_pieces_make_the_text_and_no_piece_holds_half_a_character(tokenizer, text: str):
    for tokens in (tokenizer.encode(text), bytes_of(tokenizer, text)):
        pieces = pieces_of(tokenizer, tokens)
        assert "".join(pieces) == text
        assert sum("\ufffd" in piece for piece in pieces) == text.count("\ufffd")


def test_a_character_comes_out_with_its_last_byte(tokenizer):
    assert pieces_of(tokenizer, bytes_of(tokenizer, "aမb")) == ["a", "", "", "မ", "b", ""]


def test_bytes_that_never_become_a_character_are_flushed_as_broken(tokenizer):
    assert pieces_of(tokenizer, bytes_of(tokenizer, "aမ")[:-1]) == ["a", "", "", "\ufffd"]


def test_broken_bytes_are_not_held_back_for_ever(tokenizer):
    broken = bytes_of(tokenizer, "မ")[1:2] * 10
    pieces = pieces_of(tokenizer, broken)
    assert "".join(pieces[:-1]) == "\ufffd" * 7
    assert "".join(pieces) == tokenizer.decode(broken)


def test_control_tokens_are_no_text(tokenizer):
    tokens = [*tokenizer.encode("a"), tokenizer.convert_tokens_to_ids(END), *tokenizer.encode("b")]
    assert "".join(pieces_of(tokenizer, tokens)) == "ab"


def sentencepiece_like() -> PreTrainedTokenizerFast:
    """Words that carry their own leading space, and bytes for the rest."""
    words = ["▁hello", "▁world", "!", "<0xE1>", "<0x80>", "<0x99>", "</s>"]
    core = Tokenizer(models.BPE({w: i for i, w in enumerate(words)}, [], byte_fallback=True))
    core.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="</s>", clean_up_tokenization_spaces=False
    )


def test_spaces_survive_decoders_that_strip_the_first_one():
    pieces = pieces_of(sentencepiece_like(), [0, 1, 2, 1])
    assert pieces == ["hello", " world", "!", " world", ""]


def test_spaces_survive_a_control_token():
    assert pieces_of(sentencepiece_like(), [0, 6, 1]) == ["hello", "", " world", ""]


def test_bytes_by_fallback_are_held_back_too():
    assert pieces_of(sentencepiece_like(), [0, 3, 4, 5]) == ["hello", "", "", "မ", ""]
