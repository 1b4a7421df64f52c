"""What Recal claims, measured: `python -m benchmarks.science.<name>`."""
