"""A small read-only page beside the gate: what serves, what it decides, and whether that drifts."""
