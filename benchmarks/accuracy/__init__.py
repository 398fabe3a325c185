"""What the architectures reach on reference data: runs, records of them, tables and figures.

See docs/accuracy.md.
"""
