"""Calibration examples for real backbones, in every language."""
