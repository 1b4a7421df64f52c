"""What the method must show, each claim as a program of its own."""
