from __future__ import annotations

import asyncio
import re
import urllib.request

import pytest

from services.pb import recal_pb2 as pb
from services.pb import recal_pb2_grpc as pb_grpc

pytestmark = pytest.mark.serve


def scraped() -> str:
    import ray

    [node] = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


def value(text: str, name: str, **labels: str) -> float:
    for line in text.splitlines():
        wanted = all(f'{key}="{each}"' in line for key, each in labels.items())
        if re.match(rf"{name}\{{", line) and wanted:
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def names_missing(text: str) -> list[str]:
    """Each process reports by itself, some seconds after the fact."""
    names = ("requests_total", "stage_seconds_count", "score_bucket", "score_count")
    return [name for name in names if f"ray_recal_{name}{{" not in text]


async def test_ray_exports_the_catalogue_and_scores_below_zero_keep_their_buckets(edge):
    request = pb.RecalGenerateRequest(prompt="habari yako")
    frames = [frame async for frame in pb_grpc.RecalStub(edge).Generate(request, timeout=30)]
    assert frames
    async with asyncio.timeout(60):
        while missing := names_missing(text := await asyncio.to_thread(scraped)):
            await asyncio.sleep(1.0)
    assert missing == []
    assert value(text, "ray_recal_requests_total", method="Recal/Generate", status="OK") >= 1
    assert value(text, "ray_recal_stage_seconds_count", stage="gate") >= 1
    below = value(text, "ray_recal_score_bucket", le="-1.5", language="sw")
    above = value(text, "ray_recal_score_bucket", le="-1.0", language="sw")
    assert (below, above) == (0, value(text, "ray_recal_score_count", language="sw"))
