"""Accuracy on reference data."""
