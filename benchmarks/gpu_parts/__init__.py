"""The sections of `benchmarks.gpu`, one module each; each imports what it needs when it is run."""
