"""Structures, graphs, predictions: the values that all exchange, and their geometry."""
