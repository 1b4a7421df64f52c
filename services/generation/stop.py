"""Pure: end a text before the first stop string, also when it comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopScan:
    """Lets text through, except what might be the beginning of a stop string. One per request."""

    def __init__(self, stops: Sequence[str]) -> None:
        """Watch for any of the given strings, none of them empty."""
        self._stops = tuple(stops)
        self._held = ""
        self.met = False
        """True once a stop string was seen; nothing comes out after that."""

    def push(self, text: str) -> str:
        """Take a piece of text; give what can no longer become part of a stop string."""
        if self.met:
            return ""
        held = self._held + text
        starts = [start for stop in self._stops if (start := held.find(stop)) >= 0]
        self.met = bool(starts)
        end = min(starts) if starts else len(held) - self._possible_beginning(held)
        self._held = "" if self.met else held[end:]
        return held[:end]

    def flush(self) -> str:
        """What is still held back, at the end of the text."""
        held, self._held = self._held, ""
        return held

    def _possible_beginning(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        longest = max((len(stop) for stop in self._stops), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            end = text[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return length
        return 0
