"""Measuring a model on the machine at hand: backend, relaxations in flight, service."""
