"""Thermochemistry: minimum, Hessian, harmonic frequencies, and what statistics makes of them."""
