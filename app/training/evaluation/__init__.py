"""What a model predicts for labelled frames, and how far off it is."""
