from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain import (
    Abstention,
    Action,
    CandidateRole,
    FinishReason,
    GateReading,
    Intervention,
    LanguageGuess,
    MonitorStop,
    Reason,
    Sampling,
    TextChunk,
    Usage,
    Verdict,
)
from services.errors import InvalidRequest
from services.pb import recal_pb2 as pb
from services.wire import answers, enums, verdicts
from services.wire.prompts import RequestLimits, from_sampling, sampling_of
from tests.behind import DESCRIPTION, STEER

ENUMS = {
    Action: pb.Action,
    Reason: pb.Reason,
    Abstention: pb.Abstention,
    FinishReason: pb.FinishReason,
    MonitorStop: pb.MonitorStop,
    CandidateRole: pb.CandidateRole,
}
tags = st.sampled_from(["sw", "zh-Hant", "my"])
finite = st.floats(allow_nan=False)


@pytest.mark.parametrize("enum", ENUMS)
def test_every_member_comes_back_and_every_wire_value_has_a_member(enum):
    names = {enums.to_wire(member) for member in enum}
    assert len(ENUMS[enum].values()) == len(names) + 1
    for member in enum:
        number = ENUMS[enum].Value(enums.to_wire(member))
        assert enums.from_wire(enum, number, "field") is member


@pytest.mark.parametrize("number", [0, 99])
def test_unset_and_unknown_enum_values_are_refused_with_the_choices(number):
    with pytest.raises(InvalidRequest, match=r"`verdict\.action`.*ACTION_STEER"):
        enums.from_wire(Action, number, "verdict.action")


@given(
    st.builds(LanguageGuess, tags, st.floats(0, 1), candidates=st.lists(tags).map(tuple))
    | st.builds(LanguageGuess, st.none(), st.floats(0, 1), st.sampled_from(Abstention))
)
def test_a_guess_comes_back(guess):
    assert verdicts.guess_of(verdicts.from_guess(guess)) == guess


@given(
    st.builds(
        Verdict,
        st.sampled_from(Action),
        st.sampled_from(Reason),
        st.none() | tags,
        st.just("readout@3"),
        st.none() | st.just("sw@7"),
        st.none() | finite,
        st.none() | finite,
        st.booleans(),
    )
)
def test_a_verdict_comes_back_with_its_score(verdict):
    assert verdicts.verdict_of(verdicts.from_verdict(verdict, with_score=True)) == verdict


def test_a_score_of_zero_is_not_taken_for_none():
    zero = replace(STEER, score=0.0, threshold=0.0)
    assert verdicts.verdict_of(verdicts.from_verdict(zero, with_score=True)) == zero


def test_score_and_threshold_are_stripped():
    stripped = verdicts.from_verdict(STEER, with_score=False)
    assert not stripped.HasField("score")
    assert not stripped.HasField("threshold")


def test_a_reading_comes_back():
    reading = GateReading(STEER, 12, {"gate_pass": 0.25})
    found = verdicts.reading_of(verdicts.from_reading(reading))
    assert found == reading
    assert found.timings_s == reading.timings_s  # no part of what makes two readings equal


def test_an_answer_without_verdict_is_refused():
    with pytest.raises(InvalidRequest, match="`verdict` is not set"):
        verdicts.reading_of(pb.GateCheckResponse(n_prompt_tokens=3))


@pytest.mark.parametrize("action", Action)
def test_an_intervention_comes_back(action):
    intervention = Intervention(action, "readout@3", "sw@7")
    request = pb.GenerationGenerateRequest(intervention=verdicts.from_intervention(intervention))
    assert verdicts.intervention_of(request) == intervention


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (pb.GenerationGenerateRequest(prompt="x"), "`intervention` is not set"),
        (
            pb.GenerationGenerateRequest(intervention=pb.Intervention(readout_version="r")),
            "`intervention.action` is not set",
        ),
        (
            pb.GenerationGenerateRequest(intervention=pb.Intervention(action="ACTION_STEER")),
            "`intervention.readout_version` is empty",
        ),
    ],
)
def test_generation_is_never_asked_without_saying_what_to_do(request_, words):
    with pytest.raises(InvalidRequest, match=words):
        verdicts.intervention_of(request_)


@pytest.mark.parametrize(
    "guess",
    [
        pb.LanguageGuess(),
        pb.LanguageGuess(language="sw", abstention="ABSTENTION_MIXED"),
        pb.LanguageGuess(language="sw", confidence=1.5),
        pb.LanguageGuess(language="sw", confidence=float("nan")),
        pb.LanguageGuess(abstention=77),
    ],
)
def test_a_guess_that_says_nothing_or_two_things_is_refused(guess):
    with pytest.raises(InvalidRequest):
        verdicts.guess_of(guess)


@given(
    st.builds(
        Usage,
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**32 - 1),
        st.sampled_from(FinishReason),
        st.dictionaries(st.sampled_from(["gate", "total"]), finite),
    )
)
def test_usage_comes_back(usage):
    if usage.finish is FinishReason.MONITOR:
        usage = replace(usage, withdrawn_by=MonitorStop.NON_FINITE, replacement="Samahani.")
    assert answers.usage_of(answers.from_usage(usage)) == usage


def test_a_withdrawn_answer_that_does_not_say_why_is_refused():
    usage = pb.Usage(finish_reason="FINISH_REASON_MONITOR")
    with pytest.raises(InvalidRequest, match=r"`usage\.withdrawn_by` is not set"):
        answers.usage_of(usage)


@pytest.mark.parametrize(
    ("sent", "back"),
    [
        (answers.from_generation_frame, answers.chunk_of),
        (answers.from_fused_frame, answers.fused_frame_of),
    ],
    ids=["generation", "fused"],
)
def test_a_withdrawn_answer_comes_back_from_either_service(sent, back):
    usage = Usage(12, 3, FinishReason.MONITOR, withdrawn_by=MonitorStop.SCORE)
    expected = TextChunk("", 3, FinishReason.MONITOR, 12, withdrawn_by=MonitorStop.SCORE)
    assert back(sent(usage)) == expected


@pytest.mark.parametrize(
    "frame",
    [STEER, TextChunk("habari", 0), Usage(12, 3, FinishReason.STOP_STRING, {"gate": 0.5})],
    ids=["verdict", "text", "usage"],
)
def test_a_frame_comes_back(frame):
    assert answers.frame_of(answers.from_frame(frame, with_score=True)) == frame


def test_an_empty_frame_is_refused():
    with pytest.raises(InvalidRequest, match="`frame` is not set"):
        answers.frame_of(pb.RecalGenerateResponse())
    with pytest.raises(InvalidRequest, match="`frame` is not set"):
        answers.chunk_of(pb.GenerationGenerateResponse())


def test_generation_frames_come_back_with_all_tokens_on_the_last():
    usage = Usage(12, 3, FinishReason.MAX_TOKENS, {"prefill": 0.25})
    assert answers.chunk_of(answers.from_generation_frame(TextChunk("sawa", 0))) == TextChunk(
        "sawa", 0
    )
    last = answers.chunk_of(answers.from_generation_frame(usage))
    assert last == TextChunk("", 3, FinishReason.MAX_TOKENS, 12)
    assert last.timings_s == usage.timings_s  # no part of what makes two chunks equal


def test_fused_frames_come_back_with_the_score_first_and_all_tokens_on_the_last():
    reading = GateReading(STEER, 12)
    assert answers.fused_frame_of(answers.from_fused_frame(reading)) == reading
    chunk = TextChunk("sawa", 0)
    assert answers.fused_frame_of(answers.from_fused_frame(chunk)) == chunk
    last = answers.from_fused_frame(Usage(12, 3, FinishReason.MAX_TOKENS))
    assert answers.fused_frame_of(last) == TextChunk("", 3, FinishReason.MAX_TOKENS, 12)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pb.FusedGenerateResponse(), "`frame` is not set"),
        (pb.FusedGenerateResponse(reading=pb.GateCheckResponse()), "`verdict` is not set"),
    ],
)
def test_a_fused_frame_that_says_nothing_is_refused(frame, words):
    with pytest.raises(InvalidRequest, match=words):
        answers.fused_frame_of(frame)


def test_a_description_comes_back():
    assert answers.description_of(answers.from_description(DESCRIPTION)) == DESCRIPTION


def test_a_candidate_without_a_role_is_refused():
    with pytest.raises(InvalidRequest, match=r"`candidates\.role` is not set"):
        answers.candidate_of(pb.CandidateSummary(share=0.5))


def test_info_names_the_languages_of_the_calibrations():
    info = answers.from_info(DESCRIPTION, software_version="0.1", mode="split")
    assert (info.model, list(info.languages), info.mode) == ("organism", ["sw"], "split")


@given(
    st.builds(
        Sampling,
        st.integers(1, 1024),
        st.floats(0, 2),
        st.floats(0, 1, exclude_min=True),
        st.none() | st.integers(0, 2**64 - 1),
        st.lists(st.text(min_size=1, max_size=9), max_size=8).map(tuple),
    )
)
def test_sampling_comes_back(sampling):
    assert sampling_of(from_sampling(sampling), RequestLimits()) == sampling
