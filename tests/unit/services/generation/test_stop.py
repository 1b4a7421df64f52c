import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.generation.stop import StopScan


def scan(stops: list[str], pieces: list[str]) -> tuple[list[str], bool]:
    scanner = StopScan(stops)
    given_out = [scanner.push(piece) for piece in pieces]
    return [*given_out, scanner.flush()], scanner.met


def test_text_ends_before_a_stop_string():
    assert scan(["END"], ["abENDcd"]) == (["ab", ""], True)


def test_a_stop_string_split_over_pieces_is_found_and_none_of_it_is_shown():
    assert scan(["END"], ["abE", "N", "Dcd"]) == (["ab", "", "", ""], True)


def test_what_only_looked_like_a_stop_string_comes_out_later():
    assert scan(["END"], ["abE", "Nx", "y"]) == (["ab", "ENx", "y", ""], False)


def test_a_beginning_at_the_very_end_is_flushed():
    assert scan(["END"], ["abEN"]) == (["ab", "EN"], False)


def test_the_first_of_several_stop_strings_counts():
    assert scan(["zz", "b"], ["abzz"]) == (["a", ""], True)


def test_nothing_comes_out_after_the_stop():
    assert scan(["b"], ["ab", "cd"]) == (["a", "", ""], True)


def test_without_stop_strings_nothing_is_held_back():
    assert scan([], ["a", "b"]) == (["a", "b", ""], False)


@pytest.mark.parametrize("stop", ["aab", "aa"])
def test_a_beginning_inside_a_beginning_is_kept(stop: str):
    assert "".join(scan([stop], ["a", "a", "a", "b"])[0]) == "aaab".partition(stop)[0]


@given(st.lists(st.text("ab", max_size=4)), st.lists(st.text("ab", min_size=1, max_size=4)))
def test_the_pieces_make_the_text_up_to_the_first_stop_string(pieces: list[str], stops: list[str]):
    text = "".join(pieces)
    starts = [text.find(stop) for stop in stops if stop in text]
    given_out, met = scan(stops, pieces)
    # a stop string is known when its last character comes, and another may have begun before it
    assert met is bool(starts)
    if not met:
        assert "".join(given_out) == text
    else:
        assert text.startswith("".join(given_out))
        assert not any(stop in "".join(given_out) for stop in stops)
