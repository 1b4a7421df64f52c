"""What a refusal looks like, in every language."""
