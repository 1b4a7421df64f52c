"""Pure numpy in float64: arrays in, arrays out."""
