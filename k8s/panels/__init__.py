"""What each dashboard asks: one file for each, and the nouns that they are made of."""
