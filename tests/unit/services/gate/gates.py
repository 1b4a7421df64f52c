"""What gates are tested with: a store, a look at every pass of a model, readouts to break."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

from services.backbone.load import Backbone
from services.domain import LanguageGuess
from services.errors import NotReady
from services.readout.bundle import Bundle, Readout
from services.readout.linear import LinearReadout
from services.telemetry import PrometheusMeter

SW = LanguageGuess("sw", 0.9)
PROMPT = "jinsi ya kuoka mkate"


class Held:
    """A store that holds what it is given."""

    def __init__(self, bundle: Bundle | None) -> None:
        self.bundle = bundle
        self.n_reads = 0

    @property
    def current(self) -> Bundle:
        self.n_reads += 1
        if self.bundle is None:
            raise NotReady("no readout is loaded yet")
        return self.bundle


def with_linear(readout: Readout, linear: LinearReadout) -> Readout:
    parts = (dataclasses.replace(readout.parts[0], linear=linear),)
    return dataclasses.replace(readout, parts=parts)


def counted(meter: PrometheusMeter, name: str, **labels: str) -> float | None:
    return meter.registry.get_sample_value(name, labels)


class Passes:
    """Remembers how many rows and tokens each pass of a model has, and can hold it up."""

    def __init__(self, backbone: Backbone) -> None:
        self.shapes: list[tuple[int, int]] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.began = threading.Event()
        self._hook = backbone.blocks[0].register_forward_pre_hook(self._look, with_kwargs=True)

    def _look(self, module: Any, args: Any, kwargs: Any) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        self.shapes.append(tuple(hidden.shape[:2]))
        self.began.set()
        assert self.may_go_on.wait(5)

    def __enter__(self) -> Passes:
        return self

    def __exit__(self, *error: object) -> None:
        self.may_go_on.set()
        self._hook.remove()
