"""Labelled frames: from files of any layout to batches."""
