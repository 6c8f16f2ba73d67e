"""Judges studies: networks that differ in one thing each, on the same mixtures. What they give is made by ``pipeline.study``."""
