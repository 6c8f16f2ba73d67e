import pipeline  # noqa: F401  # it knows the networks, whose settings are checked when the spec of a model is read
