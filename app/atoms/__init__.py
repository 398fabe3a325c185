"""The value types that everything exchanges, and the geometry between them: structures, graphs,
predictions.
"""
