"""Aliases moved under load: calls that fail, answers of two versions, seconds until all follow."""
