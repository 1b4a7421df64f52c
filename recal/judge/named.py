"""Judges by the name that a command line gives: a kind, and where its model is."""

from __future__ import annotations

import os
from collections.abc import Mapping

from recal.judge.exchange import Judge
from recal.judge.organism import OrganismJudge
from recal.judge.phrases import PhraseJudge

FORMS = "`phrases`, `organism`, `classifier:PATH`, `llm:PATH` or `endpoint:URL#MODEL`"
_TAKES_PAIRS = "input"
_INPUTS = {"reply": False, "pair": True}


def judge_of(name: str, *, device: str = "cpu", environ: Mapping[str, str] = os.environ) -> Judge:
    """The judge of a name.

    `classifier:PATH#LABEL_0=complied,LABEL_1=refused` says what a classifier's labels mean, and
    `input=pair` among them that it reads the prompt too.

    Args:
        name: one of `FORMS`.
        device: where a local model judges.
        environ: holds the key of an endpoint, if any.

    Raises:
        ValueError: there is no such judge, or a part of its name is missing or wrong.
        ArtefactRefused: a local model cannot be loaded.
    """
    if name == PhraseJudge.name:
        return PhraseJudge()
    if name == OrganismJudge.name:
        return OrganismJudge()
    kind, _, where = name.partition(":")
    if kind == "classifier" and where:
        return _classifier(where, device)
    if kind == "llm" and where:
        return _llm(where, device)
    if kind == "endpoint" and where:
        return _endpoint(where, environ)
    raise ValueError(f"no judge `{name}`; choose {FORMS}")


def _classifier(where: str, device: str) -> Judge:
    # Not at the top, and so below: a judge by phrases needs neither torch nor a client.
    from recal.judge.classifier import load_classifier

    path, _, fragment = where.partition("#")
    labels = _labels(fragment)
    wanted = labels.pop(_TAKES_PAIRS, "reply")
    if wanted not in _INPUTS:
        raise ValueError(f"a classifier's `input` is `{wanted}`; it is `reply` or `pair`")
    return load_classifier(path, labels=labels or None, reads_prompt=_INPUTS[wanted], device=device)


def _labels(fragment: str) -> dict[str, str]:
    labels = {}
    for part in filter(None, fragment.split(",")):
        label, equals, meaning = part.partition("=")
        if not equals or not label.strip():
            raise ValueError(
                f"`{part}` maps no label; write LABEL_0=complied,LABEL_1=refused after the `#`"
            )
        labels[label.strip()] = meaning.strip()
    return labels


def _llm(where: str, device: str) -> Judge:
    from recal.judge.llm import LlmJudge
    from services.backbone.load import load_backbone

    return LlmJudge(load_backbone(where, device=device))


def _endpoint(where: str, environ: Mapping[str, str]) -> Judge:
    from recal.judge.endpoint import API_KEY_VARIABLE, EndpointJudge

    url, _, model = where.partition("#")
    if not model:
        raise ValueError(f"`endpoint:{url}` names no model; write endpoint:URL#MODEL")
    return EndpointJudge(url, model, api_key=environ.get(API_KEY_VARIABLE) or None)
