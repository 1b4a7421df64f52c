from __future__ import annotations

from dataclasses import dataclass, field

import grpc
import pytest

from services.errors import InvalidRequest, Overloaded, ServiceError
from services.pb import recal_pb2 as pb
from services.rpc.call import request_id_of
from services.rpc.serve import ServeFace
from services.telemetry import REQUESTS, PrometheusMeter
from services.wire.methods import GATE, GENERATION, RECAL
from tests.behind import FakeGate, FakeGeneration
from tests.unit.services.edge.line import Fakes

Code = grpc.StatusCode
PROMPT = pb.RecalGenerateRequest(prompt="habari")
CHECK = pb.RecalCheckRequest(prompt="habari")


@dataclass
class Context:
    """Serve's context, as far as it is used."""

    metadata: tuple[tuple[str, str], ...] = (("x-request-id", "id-1"),)
    code: grpc.StatusCode | None = None
    details: str = ""
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def invocation_metadata(self):
        return self.metadata

    def set_code(self, code):
        self.code = code

    def set_details(self, details):
        self.details = details

    def set_trailing_metadata(self, trailing_metadata):
        self.trailers = trailing_metadata


def served(fakes: Fakes, service: str = RECAL) -> tuple[ServeFace, PrometheusMeter]:
    meter = PrometheusMeter()
    return ServeFace(fakes.faces(meter)[service], meter), meter


async def drain(stream):
    return [each async for each in stream]


async def test_unary_answers_and_says_its_id():
    context = Context()
    response = await served(Fakes())[0].unary("Check", CHECK, context)
    assert response.verdict.language == "sw"
    assert (context.code, context.trailers) == (None, [("x-request-id", "id-1")])


@pytest.mark.parametrize(
    ("failure", "code"),
    [(Overloaded("full"), Code.RESOURCE_EXHAUSTED), (ValueError("canary"), Code.INTERNAL)],
)
async def test_unary_failures_set_a_status_and_return(failure, code):
    context = Context()
    face, meter = served(Fakes(gate=FakeGate(failure=failure)))
    response = await face.unary("Check", CHECK, context)
    assert response == pb.RecalCheckResponse()
    assert context.code is code
    assert "canary" not in context.details
    labels = {"method": "Recal/Check", "status": code.name}
    assert meter.registry.get_sample_value(f"{REQUESTS.name}_total", labels) == 1


@pytest.mark.parametrize(
    ("failure", "code"),
    [(Overloaded("full"), Code.RESOURCE_EXHAUSTED), (ValueError("canary"), Code.INTERNAL)],
)
async def test_stream_failures_set_a_status_and_raise_what_is_safe_to_log(failure, code):
    context = Context()
    face, _ = served(Fakes(generation=FakeGeneration(fails_after=failure)))
    with pytest.raises(ServiceError) as raised:
        await drain(face.stream("Generate", PROMPT, context))
    assert context.code is code
    assert context.details == str(raised.value)
    assert "canary" not in context.details
    assert raised.value.__context__ is None


async def test_a_message_for_another_application_is_not_taken_for_ours():
    context = Context()
    face, _ = served(Fakes(), GATE)
    await face.unary("Check", CHECK, context)
    assert context.code is Code.INVALID_ARGUMENT
    assert "`application` metadata" in context.details
    face, _ = served(Fakes(), GENERATION)
    with pytest.raises(ServiceError, match="`application` metadata"):
        await drain(face.stream("Generate", PROMPT, Context()))


async def test_a_stream_that_is_closed_early_closes_generation():
    fakes = Fakes()
    stream = served(fakes)[0].stream("Generate", PROMPT, Context())
    await anext(stream)
    await anext(stream)
    await stream.aclose()
    assert fakes.generation.n_closed == 1


async def test_a_deadline_in_the_past_ends_before_work_begins():
    fakes, context = Fakes(), Context((("x-deadline-ms", "0"),))
    await served(fakes)[0].unary("Check", CHECK, context)
    assert context.code is Code.DEADLINE_EXCEEDED
    assert fakes.language_id.asked == []


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a\nb"])
def test_ids_that_are_not_fit_for_a_log_are_replaced(given):
    assert request_id_of((("x-request-id", given),)) != given


async def test_batch_errors_say_which_prompt():
    guess = pb.LanguageGuess(language="sw", confidence=0.9)
    good = pb.GateCheckRequest(prompt="habari", guess=guess)
    bad = pb.GateCheckRequest(prompt="", guess=guess)
    context = Context()
    face, _ = served(Fakes(), GATE)
    await face.unary("BatchCheck", pb.GateBatchCheckRequest(requests=[good, bad]), context)
    assert context.code is Code[InvalidRequest.status]
    assert context.details.startswith("`requests[1]`: `prompt` is empty")


async def test_a_gate_request_without_guess_is_refused():
    context = Context()
    await served(Fakes(), GATE)[0].unary("Check", pb.GateCheckRequest(prompt="habari"), context)
    assert context.details.startswith("`guess` is not set")
