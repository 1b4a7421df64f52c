"""Whether this machine and this installation can run Recal, and what to do where they cannot."""
