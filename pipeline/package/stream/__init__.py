"""C code around a network on a device that is run step by step: the same samples as edge_runtime's stream."""
