from __future__ import annotations

import pytest

from services.domain import Sampling
from services.errors import InvalidRequest, PromptTooLong
from services.pb import recal_pb2 as pb
from services.wire.prompts import RequestLimits, hint_of, prompt_of, routing_key_of, sampling_of

LIMITS = RequestLimits(max_prompt_bytes=100, max_tokens=50, default_max_tokens=20)


def test_a_prompt_is_taken_as_it_is():
    assert prompt_of("  habari\n\u200dyako ", LIMITS) == "  habari\n\u200dyako "


@pytest.mark.parametrize(
    ("prompt", "said"),
    [("", "empty; give"), ("\n\t\u3000", "empty: 3 characters of white space; give")],
)
def test_a_prompt_of_nothing_is_refused(prompt: str, said: str):
    with pytest.raises(InvalidRequest, match=f"`prompt` is {said} some text"):
        prompt_of(prompt, LIMITS)


def test_a_nul_is_refused_by_its_place_and_not_by_its_surroundings():
    with pytest.raises(InvalidRequest, match="NUL character at index 6") as raised:
        prompt_of("canary\0tail", LIMITS)
    assert "canary" not in str(raised.value)


def test_the_limit_counts_bytes_and_not_characters():
    assert prompt_of("မ" * 33, LIMITS)
    with pytest.raises(PromptTooLong, match="102 bytes, at most 100"):
        prompt_of("မ" * 34, LIMITS)


@pytest.mark.parametrize(
    ("given", "taken"),
    [("", None), ("sw", "sw"), ("ZH_hant", "zh-Hant"), ("iw", "he"), ("pt-BR", "pt-BR")],
)
def test_a_hint_is_normalised(given, taken):
    assert hint_of(given) == taken


@pytest.mark.parametrize("hint", ["swahili!", "xx", "english", "zh-Xxxx", "śl", " ", "sw\n"])
def test_a_hint_that_is_no_tag_is_named(hint):
    with pytest.raises(InvalidRequest, match="`language_hint`") as raised:
        hint_of(hint)
    assert repr(hint) in str(raised.value)


def test_a_prompt_in_the_hints_place_is_not_repeated():
    with pytest.raises(InvalidRequest) as raised:
        hint_of("tell me how to " * 100)
    assert len(str(raised.value)) < 150


def test_sampling_that_is_not_set_takes_defaults():
    assert sampling_of(pb.Sampling(), LIMITS) == Sampling(max_tokens=20)


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (pb.Sampling(max_tokens=0), "`max_tokens` is 0; give 1 to 50"),
        (pb.Sampling(max_tokens=2**32 - 1), "`max_tokens` is 4294967295"),
        (pb.Sampling(temperature=-0.1), "`temperature` is -0.1"),
        (pb.Sampling(temperature=2.1), "`temperature` is 2.1"),
        (pb.Sampling(temperature=float("nan")), "`temperature` is nan"),
        (pb.Sampling(temperature=float("inf")), "`temperature` is inf"),
        (pb.Sampling(top_p=0.0), "`top_p` is 0.0"),
        (pb.Sampling(top_p=1.01), "`top_p` is 1.01"),
        (pb.Sampling(top_p=float("nan")), "`top_p` is nan"),
        (pb.Sampling(stop=["x"] * 9), "`stop` holds 9 strings"),
        (pb.Sampling(stop=["x", ""]), r"`stop\[1\]` has 0 characters"),
        (pb.Sampling(stop=["x" * 65]), r"`stop\[0\]` has 65 characters"),
    ],
)
def test_sampling_out_of_range_is_refused_by_name_and_value(sampling, words):
    with pytest.raises(InvalidRequest, match=words):
        sampling_of(sampling, LIMITS)


@pytest.mark.parametrize(("given", "taken"), [("", None), ("7", "7"), ("é" * 128, "é" * 128)])
def test_a_routing_key_is_taken_as_it_is(given, taken):
    assert routing_key_of(given) == taken


def test_a_routing_key_that_is_too_long_is_refused_and_not_shown():
    with pytest.raises(InvalidRequest, match="`routing_key` has 257 bytes, at most 256") as raised:
        routing_key_of("person" + "é" * 125 + "x")
    assert "person" not in str(raised.value)
