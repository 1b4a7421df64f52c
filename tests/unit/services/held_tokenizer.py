"""A tokenizer that waits until it may go on, and remembers what it was asked."""

from __future__ import annotations

import threading
from typing import Any

from tests.unit.services.tiny import build_tokenizer


class HeldTokenizer:
    """Tokenises as the tiny models' own does."""

    def __init__(self) -> None:
        self.real = build_tokenizer()
        self.may_go_on = threading.Event()
        self.began = threading.Event()
        self.asked: list[str] = []

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
        self.asked.append(conversation[0]["content"])
        self.began.set()
        assert self.may_go_on.wait(5)
        return self.real.apply_chat_template(conversation, **options)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.real(*arguments, **options)

    def __deepcopy__(self, memo: Any) -> Any:
        """Who only decodes is not held up."""
        return build_tokenizer()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)
