"""Tests of `services.pipeline`."""
