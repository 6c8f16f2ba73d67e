"""Runs an artefact as the device would: int16 PCM in and out, on numpy and the runtimes alone."""
