"""One module per sub-command: `configure(parser)` declares its options, `run(options)` does it."""
