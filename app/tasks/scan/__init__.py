"""Scans: the energy along an internal coordinate, with everything else at rest."""
