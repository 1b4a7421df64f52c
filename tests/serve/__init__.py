"""Tests on a real Ray cluster, started once a session."""
