"""What is told of requests: which one it is, and lines of the log."""
