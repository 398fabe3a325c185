"""The wire of NVIDIA's ALCHEMI NIM for batched geometry relaxation, as its public reference has it."""
