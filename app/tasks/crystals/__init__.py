"""Crystals under strain: what energies and stresses of strained cells say of a material."""
