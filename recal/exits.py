"""Exit codes of the command line."""

FAILED_CHECK = 1
"""A check failed: the command ran, and what it looked at is not as it should be."""
ERROR = 2
"""Request, configuration or server are at fault; one line on stderr says what to do."""
