"""From structures to predictions: admission, graphs, scheduling, batches, workers."""
