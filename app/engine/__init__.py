"""From a structure to its prediction, many at a time: admission, graphs, scheduling, batches,
workers.
"""
