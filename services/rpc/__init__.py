"""The gRPC face of every service, free of any transport's own error handling."""
