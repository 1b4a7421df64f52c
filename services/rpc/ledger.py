"""What is kept of every finished call: a count and a log line, never a word of its text."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.crash import whereabouts
from services.telemetry import REQUEST_SECONDS, REQUESTS, Meter
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
            seconds = time.perf_counter() - start
            self._meter.count(REQUESTS, method=method.label, status=status)
            self._meter.observe(REQUEST_SECONDS, seconds, method=method.label)
            log.info(
                "method=%s status=%s request_id=%s seconds=%.4f",
                method.label,
                status,
                request_id,
                seconds,
            )
