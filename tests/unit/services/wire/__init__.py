"""Tests of `services.wire`."""
