"""A step that signals do not break off."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let SIGTERM and SIGINT pass unheeded until the step is over.

    Whoever ends a service sends SIGTERM more than once: a shell to the whole group, a supervisor
    to its child. Signals are the main thread's; in another one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # a handler that does nothing, and not SIG_IGN, which processes started meanwhile would inherit
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None: it was not set from Python, and cannot be set back from here
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
