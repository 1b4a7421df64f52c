"""The engine and the gate on one accelerator, at the shapes of production models; without Ray."""
