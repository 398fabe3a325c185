"""The model store: cards and immutable versions."""
