"""The gates, one module each; ``validation.gate_registry`` finds them, so that adding one is adding a file."""
