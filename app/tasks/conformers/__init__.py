"""Conformers: made by RDKit, relaxed in one batch, compared, ranked."""
