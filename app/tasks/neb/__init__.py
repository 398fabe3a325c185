"""Reaction paths: the way of least energy between two minima, and the saddle point on it."""
