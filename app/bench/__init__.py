"""Measuring a model on the machine at hand: its backend alone, relaxations in flight, and the
service.
"""
