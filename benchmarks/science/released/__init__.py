"""What released code gives on synthetic activations, and ours beside it."""
