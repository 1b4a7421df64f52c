"""Everything in one process with its own gRPC server."""
