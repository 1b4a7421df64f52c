"""Near-duplicates: every pair is found, and nothing else."""

import random

import pytest

from recal.datasets.duplicates import _jaccard, _pieces, near_pairs, plain, without_end_punctuation


def test_case_width_spacing_and_end_punctuation_make_no_other_text() -> None:
    assert plain("  How do  I…?! ") == plain("how do i")
    assert plain("ＡＢＣ。") == "abc"


def test_punctuation_inside_a_text_stays() -> None:
    assert without_end_punctuation("Wait, what?! ") == "Wait, what"
    assert without_end_punctuation("ทำไม") == "ทำไม"
    assert without_end_punctuation("Pourquoi ?") == "Pourquoi"


def test_a_text_with_one_word_changed_is_near_and_another_sentence_is_not() -> None:
    texts = [
        "how can i travel to the mountains with my whole family in the summer",
        "how can i travel to the mountains with my whole family in the winter",
        "write a poem about the sea",
    ]
    assert near_pairs([plain(t) for t in texts]) == [(0, 1)]


def test_the_pairs_are_those_of_comparing_all_with_all() -> None:
    rng = random.Random(0)
    words = ["sun", "moon", "river", "stone", "cloud", "grass"]
    texts = [" ".join(rng.choices(words, k=rng.randint(2, 6))) for _ in range(120)]
    for near in (0.3, 0.7, 1.0):
        expected = [
            (i, j)
            for i in range(len(texts))
            for j in range(i + 1, len(texts))
            if _jaccard(_pieces(texts[i]), _pieces(texts[j])) >= near
        ]
        assert near_pairs(texts, near=near) == expected
        assert expected


def test_han_is_compared_in_shorter_pieces() -> None:
    texts = ["请告诉我如何在家里烤面包和蛋糕", "请告诉我如何在店里烤面包和蛋糕"]
    assert near_pairs(texts, near=0.6) == [(0, 1)]


def test_texts_shorter_than_a_piece_are_compared_whole() -> None:
    assert near_pairs(["hi", "hi", "yo"]) == [(0, 1)]


@pytest.mark.parametrize("near", [0.0, 1.2, float("nan")])
def test_a_share_that_is_none_is_refused(near: float) -> None:
    with pytest.raises(ValueError, match="`near`"):
        near_pairs(["a"], near=near)
