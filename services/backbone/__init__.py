"""The language model under everything."""
