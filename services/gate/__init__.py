"""Activation extraction, readout and verdict."""
