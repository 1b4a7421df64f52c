"""The model organism: corpus, training, shipped weights."""
