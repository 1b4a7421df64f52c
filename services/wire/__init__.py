"""Protobuf ⇄ domain, and errors ⇄ statuses. The only package that reads `services.pb`."""
