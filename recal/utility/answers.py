"""What a model answers under an action: likelihoods of given answers, and texts. Each made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from services.backbone.chat import encode
from services.backbone.load import Backbone
from services.domain import Action, Sampling
from services.generation.likelihood import GivenText, Likelihood, likelihoods
from services.generation.offline import generate_texts
from services.generation.treatment import UNTOUCHED, Treatment
from services.readout.bundle import Steering

Report = Callable[[int, int], None]
"""Called with answers done and answers in all."""


class Choice(NamedTuple):
    """A prompt with an answer that it is offered, under an action."""

    prompt: str
    answer: str
    action: Action


class Question(NamedTuple):
    """A prompt whose answer is generated, under an action."""

    prompt: str
    sampling: Sampling
    action: Action


class Answers:
    """One backbone's answers. Two runs that treat a prompt alike share what was made for it."""

    def __init__(
        self, backbone: Backbone, steering: Steering | None, *, max_rows: int = 32
    ) -> None:
        """Answer with the whole backbone; nothing else may run it meanwhile.

        Args:
            backbone: the model.
            steering: how it is steered and released; None where it is only ever left untouched.
            max_rows: texts run together.
        """
        self._backbone = backbone
        self._steering = steering
        self._max_rows = max_rows
        # one object for each action: what is treated alike then shares a prompt's pass
        self._treatments: dict[Action, Treatment] = {Action.NONE: UNTOUCHED}
        self._likelihoods: dict[Choice, Likelihood] = {}
        self._texts: dict[Question, str] = {}

    def fits(self, prompt: str, n_more: int) -> bool:
        """True when a prompt and `n_more` tokens fit the context."""
        n_tokens = len(encode(self._backbone.tokenizer, prompt)) + n_more
        return n_tokens <= self._backbone.max_prompt_tokens

    def n_tokens(self, answer: str) -> int:
        """Tokens of an answer."""
        return len(self._tokens(answer))

    def likelihoods(
        self, choices: Sequence[Choice], *, report: Report = lambda done, total: None
    ) -> list[Likelihood]:
        """Likelihoods of answers, in their order.

        Raises:
            InvalidRequest: a prompt and its answer do not fit the context.
            ServiceError: the model's logits are not finite.
        """
        new = [c for c in dict.fromkeys(choices) if c not in self._likelihoods]
        prompts = {choice.prompt for choice in new}
        prompt_ids = {p: tuple(encode(self._backbone.tokenizer, p)) for p in prompts}
        texts = [
            GivenText(prompt_ids[c.prompt], self._tokens(c.answer), self._treatment(c.action))
            for c in new
        ]
        found = likelihoods(self._backbone, texts, max_rows=self._max_rows, report=report)
        self._likelihoods.update(zip(new, found, strict=True))
        return [self._likelihoods[choice] for choice in choices]

    def texts(
        self, questions: Sequence[Question], *, report: Report = lambda done, total: None
    ) -> list[str]:
        """Generated answers, in the questions' order.

        Raises:
            InvalidRequest: a prompt and its answer do not fit the context.
            ServiceError: the model's logits are not finite.
        """
        new = [q for q in dict.fromkeys(questions) if q not in self._texts]
        for sampling in dict.fromkeys(question.sampling for question in new):
            mine = [question for question in new if question.sampling == sampling]
            made = generate_texts(
                self._backbone,
                [question.prompt for question in mine],
                [self._treatment(question.action) for question in mine],
                sampling,
                max_rows=self._max_rows,
                report=report,
            )
            self._texts.update(zip(mine, made, strict=True))
        return [self._texts[question] for question in questions]

    def _treatment(self, action: Action) -> Treatment:
        if action not in self._treatments:
            self._treatments[action] = Treatment(action, self._steering)
        return self._treatments[action]

    def _tokens(self, answer: str) -> tuple[int, ...]:
        # control tokens in an answer are text, as they are in a prompt
        encoded = self._backbone.tokenizer(
            answer, add_special_tokens=False, split_special_tokens=True
        )
        return tuple(encoded["input_ids"])
