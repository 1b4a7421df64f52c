"""Steps 4 to 6: register, promote, roll back. The only writer of the MLflow registry."""

from recal.registry.registered import AliasMove, RegisteredVersion, Standing
from recal.registry.rollouts import Registry, open_registry

__all__ = ["AliasMove", "RegisteredVersion", "Registry", "Standing", "open_registry"]
