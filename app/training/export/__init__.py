"""From trained weights to a certified version in the store."""
