"""The whole graph of a causal network rewritten as one that takes a hop of samples and carries its past as inputs and outputs."""
