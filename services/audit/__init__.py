"""What was decided on each request, kept as lines of JSON; never a word of its text."""
