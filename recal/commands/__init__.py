"""One file per command of `recal`. Heavy imports stay inside the command's function."""
