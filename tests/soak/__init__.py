"""The soak test: mixed load, some of it bad, for minutes."""
