"""C code around a network on a device: recordings of any length, the same samples as edge_runtime."""
