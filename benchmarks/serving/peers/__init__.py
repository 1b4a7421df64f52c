"""Ways to answer the same requests with the same model; each is one class."""
