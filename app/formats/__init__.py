"""Structures from and to extXYZ and other formats."""
