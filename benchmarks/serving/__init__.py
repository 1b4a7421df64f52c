"""What serving costs, beside its peers in the same run: `python -m benchmarks.serving.<name>`."""
