"""Tests of `services.on_ray`."""
