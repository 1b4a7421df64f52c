"""What a challenger's share is drawn by, on its way from a caller to the gate."""

from __future__ import annotations

import pytest

from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc
from tests.unit.services.edge.line import Fakes, connected

NUMBERED = (("x-request-id", "r-7"),)


async def keys(*, check: bool, routing_key: str) -> list[str | None]:
    """What whoever decides was told, of one call with the id `r-7`."""
    fakes = Fakes()
    async with connected(fakes) as channel:
        stub, before = pb_grpc.RecalStub(channel), len(fakes.gate.asked)
        if check:
            request = pb.RecalCheckRequest(prompt="habari", routing_key=routing_key)
            await stub.Check(request, metadata=NUMBERED)
        else:
            asked = pb.RecalGenerateRequest(prompt="habari", routing_key=routing_key)
            [_ async for _ in stub.Generate(asked, metadata=NUMBERED)]
    return [each.routing_key for each in fakes.gate.asked[before:]]


@pytest.mark.parametrize("check", [True, False], ids=["Check", "Generate"])
@pytest.mark.parametrize(("given", "told"), [("user 7", "user 7"), ("", "r-7")])
async def test_the_callers_key_reaches_the_gate_and_without_one_the_calls_id_is_the_key(
    check: bool, given: str, told: str
):
    assert told in await keys(check=check, routing_key=given)
