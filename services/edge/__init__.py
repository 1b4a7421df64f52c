"""The transport in front: health, reflection, limits, deadlines, typed errors."""
