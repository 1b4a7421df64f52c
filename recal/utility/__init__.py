"""What the gate costs on ordinary tasks: lm-evaluation-harness with the gate live."""
