"""Tiny models, as the services' own tests use them."""

from tests.unit.services.conftest import backbones, checkpoints  # noqa: F401
