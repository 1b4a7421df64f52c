"""What may be said of a crash: an exception's message and traceback may hold text of a prompt."""

from __future__ import annotations


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
