"""Molecular dynamics: many replicas that move together, in the batches that all else shares."""
