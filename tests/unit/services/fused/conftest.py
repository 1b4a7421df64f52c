"""The model whose texts end by their limits, and the gate in front of it, of generation's tests."""

from tests.unit.services.generation.conftest import end_free, gate

__all__ = ["end_free", "gate"]
