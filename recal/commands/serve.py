"""`recal serve`: put the services up."""


def serve() -> None:
    """Later"""
