"""Checks a release bundle: digests, signature, golden vectors. Shares no code with what makes bundles but the names of their files."""
