"""A local chat model as a judge: of three answers it may give, the likeliest is its verdict."""

from __future__ import annotations

from collections.abc import Sequence

from recal.judge.exchange import Exchange, Judgement, Outcome
from recal.judge.reply_language import LanguageOf, reply_language, with_languages
from recal.judge.rubric import ANSWER_AS_WORD, RUBRIC, as_material
from services.backbone.chat import encode
from services.backbone.load import Backbone
from services.errors import InvalidRequest
from services.generation.likelihood import GivenText, likelihoods
from services.generation.treatment import UNTOUCHED

_OUTCOMES = tuple(Outcome)


class LlmJudge:
    """Asks by the rubric in the model's own chat template, and compares the answers' likelihoods.

    The three words are no beginnings of one another, so their probabilities are those of a model
    that may say nothing else, whatever their number of tokens. Nothing is generated or parsed.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        max_rows: int = 24,
        language_of: LanguageOf = reply_language,
    ) -> None:
        """Judge with a whole model; nothing else may run it meanwhile."""
        self.name = f"llm:{backbone.identity.name}"
        self._backbone = backbone
        self._max_rows = max_rows
        self._language_of = language_of
        self._answers = [
            tuple(backbone.tokenizer(outcome.value, add_special_tokens=False)["input_ids"])
            for outcome in _OUTCOMES
        ]

    def judge_all(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """Judge exchanges, in their order. An empty text is degenerate without asking.

        Raises:
            InvalidRequest: an exchange does not fit the judge's context.
        """
        outcomes = [Outcome.DEGENERATE] * len(exchanges)
        asked = [i for i, exchange in enumerate(exchanges) if exchange.text.strip()]
        texts = [text for i in asked for text in self._texts(i, exchanges[i])]
        scored = likelihoods(self._backbone, texts, max_rows=self._max_rows)
        for place, row in enumerate(asked):
            mine = scored[place * len(_OUTCOMES) : (place + 1) * len(_OUTCOMES)]
            best = max(range(len(_OUTCOMES)), key=lambda i: mine[i].log_probability)
            outcomes[row] = _OUTCOMES[best]
        return with_languages(exchanges, outcomes, self._language_of)

    def _texts(self, index: int, exchange: Exchange) -> list[GivenText]:
        question = f"{RUBRIC}\n{ANSWER_AS_WORD}\n\n{as_material(exchange)}"
        prompt_ids = tuple(encode(self._backbone.tokenizer, question))
        longest = len(prompt_ids) + max(map(len, self._answers))
        if longest > self._backbone.max_prompt_tokens:
            raise InvalidRequest(
                f"exchange {index} takes {longest} tokens with the rubric, and the context of "
                f"`{self.name}` has {self._backbone.max_prompt_tokens}; judge with another model"
            )
        return [GivenText(prompt_ids, answer, UNTOUCHED) for answer in self._answers]
