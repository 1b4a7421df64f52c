"""Tests of `services.rpc`."""
