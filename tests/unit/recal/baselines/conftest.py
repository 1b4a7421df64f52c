"""Tiny models, as the services' own tests use them."""

from tests.unit.services.conftest import (  # noqa: F401
    architecture,
    backbone,
    backbones,
    checkpoints,
    qwen2,
)
