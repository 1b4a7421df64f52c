"""Text to language, or an abstention."""
