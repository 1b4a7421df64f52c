"""Tests of `services.edge`."""
