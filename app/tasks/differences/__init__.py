"""Named differences of energies: of a complex and its molecules, of forms of a molecule, of its parts."""
