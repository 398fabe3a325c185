"""Reference calculators over many structures, in processes of their own."""
