"""Tests of `services.embedded`."""
