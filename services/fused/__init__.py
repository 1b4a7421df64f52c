"""Gate and generation in one: found and acted on inside the answer's own prefill."""
