"""Text under an intervention."""
