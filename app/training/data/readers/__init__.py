"""Readers of labelled frames, one a layout."""
