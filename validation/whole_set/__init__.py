"""Whole published test sets: every mixture in its full length through deployed files, where the parity report judges a segment of some."""
