"""The front door: the request flow over language identification, gate and generation."""
