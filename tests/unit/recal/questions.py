"""Collected prompts of one language as a method is asked about them."""

from __future__ import annotations

import numpy as np

from recal.collect import Activations
from recal.method import Method, Questions
from services.generation.treatment import Treatment


def asked(activations: Activations, *, sees_labels: bool = False) -> Questions:
    prompts = activations.prompts
    return Questions(
        language=prompts[0].language if prompts else "en",
        ids=tuple(p.id for p in prompts),
        texts=tuple(p.text for p in prompts),
        residuals=lambda place: activations.at(place.layer, reading=place.reading),
        labels=np.array([p.harmful for p in prompts]) if sees_labels else None,
    )


def treated(method: Method, activations: Activations) -> list[Treatment]:
    return list(method.treat(asked(activations, sees_labels=method.sees_labels), None))
