from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from services.on_ray.undisturbed import undisturbed

SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture(autouse=True)
def caught() -> Iterator[list[int]]:
    """Signals that arrived at a handler of the test's own."""
    found: list[int] = []
    before = {n: signal.signal(n, lambda number, _: found.append(number)) for n in SIGNALS}
    yield found
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_does_not_break_it_off(number: signal.Signals, caught: list[int]) -> None:
    with undisturbed():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert caught == []


@pytest.mark.parametrize("number", SIGNALS)
def test_signals_are_heeded_again_when_it_is_over(number: int, caught: list[int]) -> None:
    with undisturbed():
        pass
    os.kill(os.getpid(), number)
    assert caught == [number]


def test_signals_are_heeded_again_after_a_failure(caught: list[int]) -> None:
    with pytest.raises(ValueError, match="broken"), undisturbed():
        raise ValueError("broken")
    os.kill(os.getpid(), signal.SIGTERM)
    assert caught == [signal.SIGTERM]


def test_in_another_thread_it_changes_nothing(caught: list[int]) -> None:
    done = []

    def step() -> None:
        with undisturbed():
            done.append(True)

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    os.kill(os.getpid(), signal.SIGTERM)
    assert done == [True]
    assert caught == [signal.SIGTERM]
