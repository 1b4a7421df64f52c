"""`python -m recal`, where the `recal` command is not on the path."""

from recal.cli import main

main()
