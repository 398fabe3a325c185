"""Models that were trained elsewhere, read into our own architectures; one file a format."""
