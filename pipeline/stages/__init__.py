"""The stages of a deployment: what each depends on, what of it is already done, and the order in which the rest is run."""
