"""What is kept of every finished call: a count and a log line, never a word of its text."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.telemetry import REQUESTS, Meter
from services.wire.methods import Method
from services.wire.status import failure_of, known

log = logging.getLogger("recal.rpc")


class Ledger:
    """Writes one entry a call."""

    def __init__(self, meter: Meter) -> None:
        """Count into the given meter."""
        self._meter = meter

    @contextmanager
    def entry(self, method: Method, request_id: str) -> Iterator[None]:
        """Record how the work inside ends; errors and cancellation pass through."""
        start = time.perf_counter()
        status = "OK"
        try:
            yield
        except Exception as error:
            status = failure_of(error, request_id).status.name
            if known(error) is None:
                log.error("request_id=%s crashed: %s", request_id, whereabouts(error))
            raise
        except (asyncio.CancelledError, GeneratorExit):
            status = "CANCELLED"
            raise
        finally:
            self._meter.count(REQUESTS, method=method.label, status=status)
            log.info(
                "method=%s status=%s request_id=%s seconds=%.4f",
                method.label,
                status,
                request_id,
                time.perf_counter() - start,
            )


def whereabouts(error: BaseException) -> str:
    """Class and place of a crash and of what caused it; never its message, which may hold text."""
    parts = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append(f"{type(current).__name__} at {_innermost(current)}")
        current = current.__cause__ or current.__context__
    return ", caused by ".join(parts)


def _innermost(error: BaseException) -> str:
    trace = error.__traceback__
    if trace is None:
        return "an unknown place"
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}"
