"""Store models inside of other programs."""
