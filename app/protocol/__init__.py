"""What is asked and answered, in no transport: wire types, decoding, encoding, faults."""
