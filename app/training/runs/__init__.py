"""What a run is made of and leaves: config, folder, checkpoints, weights to begin with."""
