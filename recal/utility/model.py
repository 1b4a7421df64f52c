"""The model type `recal` of lm-evaluation-harness: a backbone behind the live gate, or untouched.

A task's context is the user's one turn in the backbone's chat template, as when it is served, and
what the task offers as continuation is the beginning of the answer. Each prompt is identified,
scored and decided on; its answers are then scored, or generated, under that verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from recal.inputs import settings_of
from recal.utility.answers import Answers, Choice, Question
from recal.utility.assembly import assemble
from recal.utility.live_gate import LiveGate
from services.domain import Action, Sampling, Verdict
from services.refusals.phrases import fixed_refusal

REFUSED = -1e9
"""Log-likelihood of every answer that is offered where nothing is answered: none is preferred."""

_DEFAULT_MAX_TOKENS = 256
_ARGUMENTS = ("readout", "calibrations", "model", "config", "gate", "max_rows")
_YES = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

Report = Callable[[str, int, int], None]
"""Called with a step's name, how many of it are done and how many there are."""


@register_model("recal")
class RecalModel(LM):  # type: ignore[misc]
    """Answers tasks as a served backbone would."""

    def __init__(
        self,
        answers: Answers,
        gate: LiveGate | None,
        *,
        report: Report = lambda step, done, total: None,
    ) -> None:
        """Answer under a gate's verdicts.

        Args:
            answers: the backbone's.
            gate: decides on prompts; None leaves every prompt untouched.
            report: called as work is done.
        """
        super().__init__()
        self._answers = answers
        self._gate = gate
        self._report = report
        self.verdicts: dict[str, Verdict] = {}
        """By prompt; empty without a gate."""
        self.too_long: set[str] = set()
        """Prompts that do not fit the context with their answer; nothing is answered."""

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
    ) -> RecalModel:
        """From `--model_args readout=…,calibrations=…,model=…,config=…,gate=true`.

        Raises:
            ValueError: an argument is unknown, or `gate` is neither true nor false.
            ArtefactRefused: backbone or artefacts cannot be loaded.
        """
        if unknown := sorted(set(arg_dict) - set(_ARGUMENTS)):
            raise ValueError(
                f"`recal` takes no argument `{unknown[0]}`; give {', '.join(_ARGUMENTS)}"
            )
        wanted = str(arg_dict.get("gate", "true")).casefold()
        if wanted not in _YES:
            raise ValueError(f"`gate` is `{wanted}`; give true, or false for the untouched model")
        config = arg_dict.get("config")
        line = assemble(
            settings_of(None if config is None else Path(config), arg_dict.get("model")),
            Path(arg_dict.get("readout", "var/readout")),
            Path(arg_dict.get("calibrations", "var/calibrations")),
            max_rows=int(arg_dict.get("max_rows", 32)),
        )
        return cls(line.answers, line.gate if _YES[wanted] else None)

    @classmethod
    def create_from_arg_string(
        cls, arg_string: str, additional_config: Mapping[str, Any] | None = None
    ) -> RecalModel:
        """As `create_from_arg_obj`, from one string."""
        pairs = (part.partition("=") for part in arg_string.split(",") if part.strip())
        return cls.create_from_arg_obj({name.strip(): value for name, _, value in pairs})

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Log-likelihood of each continuation as an answer, and whether it would be written."""
        pairs = [(context, _answer(offered)) for context, offered in (r.args for r in requests)]
        for prompt, answer in pairs:
            self._mark_too_long(prompt, self._answers.n_tokens(answer))
        actions = self._actions([prompt for prompt, _ in pairs])
        asked = {
            row: Choice(prompt, answer, action)
            for row, ((prompt, answer), action) in enumerate(zip(pairs, actions, strict=True))
            if action is not None and action is not Action.REFUSE
        }
        found = self._answers.likelihoods(list(asked.values()), report=self._step("answers"))
        scored = dict(zip(asked, found, strict=True))
        return [
            (scored[row].log_probability, scored[row].is_greedy)
            if row in scored
            else (REFUSED, False)
            for row in range(len(pairs))
        ]

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """A generated answer for each context; the fixed refusal where the policy refuses."""
        asked_for = [(context, _sampling(wanted)) for context, wanted in (r.args for r in requests)]
        for prompt, sampling in asked_for:
            self._mark_too_long(prompt, sampling.max_tokens)
        actions = self._actions([prompt for prompt, _ in asked_for])
        asked = {
            row: Question(prompt, sampling, action)
            for row, ((prompt, sampling), action) in enumerate(zip(asked_for, actions, strict=True))
            if action is not None and action is not Action.REFUSE
        }
        made = self._answers.texts(list(asked.values()), report=self._step("texts"))
        texts = dict(zip(asked, made, strict=True))
        return [
            texts[row] if row in texts else self._refusal(prompt, action)
            for row, ((prompt, _), action) in enumerate(zip(asked_for, actions, strict=True))
        ]

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """Not to be had: a text without a prompt gives the gate nothing to decide on.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            "`recal` scores answers to prompts; a task of `loglikelihood_rolling` has no prompt to "
            "decide on: choose tasks of multiple choice or generation"
        )

    def _mark_too_long(self, prompt: str, n_more: int) -> None:
        if prompt not in self.too_long and not self._answers.fits(prompt, n_more):
            self.too_long.add(prompt)

    def _actions(self, prompts: Sequence[str]) -> list[Action | None]:
        """What is done to each prompt; None where it is too long to be answered."""
        if self._gate is None:
            return [None if prompt in self.too_long else Action.NONE for prompt in prompts]
        fitting = [prompt for prompt in prompts if prompt not in self.too_long]
        verdicts = self._gate.decide_all(fitting, report=self._step("prompts decided"))
        found = dict(zip(fitting, verdicts, strict=True))
        self.verdicts.update({p: verdict for p, verdict in found.items() if verdict is not None})
        return [None if (v := found.get(prompt)) is None else v.action for prompt in prompts]

    def _refusal(self, prompt: str, action: Action | None) -> str:
        return "" if action is None else fixed_refusal(self.verdicts[prompt].language)

    def _step(self, name: str) -> Callable[[int, int], None]:
        return lambda done, total: self._report(name, done, total)


def _answer(offered: str) -> str:
    """A continuation as the beginning of an answer: the template ends where it begins.

    Tasks put a space before it, which stands between words of one text, not before a turn.
    """
    return offered.lstrip(" ") or offered


def _sampling(wanted: Mapping[str, Any]) -> Sampling:
    until = wanted.get("until") or ()
    stops = (until,) if isinstance(until, str) else tuple(until)
    is_drawn = bool(wanted.get("do_sample", False))
    return Sampling(
        max_tokens=int(wanted.get("max_gen_toks", _DEFAULT_MAX_TOKENS)),
        temperature=float(wanted.get("temperature", 0.0)) if is_drawn else 0.0,
        top_p=float(wanted.get("top_p", 1.0)),
        seed=0 if is_drawn else None,
        stop=tuple(stop for stop in stops if stop),
    )
